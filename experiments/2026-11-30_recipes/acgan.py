"""AC-GAN whose D is taught the names of real images alone: ``python acgan.py experiment=acgan ...``.

Of Odena et al. 2017's class loss of D the half of the fakes is left out; G's stays.
"""

from torch import Tensor

from dcgan.models.base import Discriminator, Verdict
from dcgan.shell.cli import cli
from dcgan.train import main as train
from dcgan.training import objective
from dcgan.training.objective import Objective, Outcome, Round


def main() -> None:
    """Train what the command line says."""
    whole, class_loss = Objective.discriminator, objective._class_loss

    def nothing(verdict: Verdict, labels: Tensor) -> Tensor:
        assert verdict.class_logits is not None
        return 0 * verdict.class_logits.sum()

    def of_real(self: Objective, discriminator: Discriminator, given: Round, *, fake: Tensor) -> Outcome:
        losses = iter((class_loss, nothing))  # asked for in this order

        def in_turn(verdict: Verdict, labels: Tensor) -> Tensor:
            return next(losses)(verdict, labels)

        objective._class_loss = in_turn
        try:
            return whole(self, discriminator, given, fake=fake)
        finally:
            objective._class_loss = class_loss

    Objective.discriminator = of_real  # type: ignore[method-assign]
    cli("train", train)


if __name__ == "__main__":
    main()
