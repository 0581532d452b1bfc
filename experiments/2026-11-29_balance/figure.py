"""The figure of this study, from the table that dcgan.report wrote: each run, by d_steps, D's rate and D's width.

python experiments/2026-11-29_balance/figure.py
"""

from pathlib import Path

import pandas as pd
import seaborn as sns

HERE = Path(__file__).parent


def main() -> None:
    runs = pd.read_csv(HERE / "report.csv").rename(
        columns={
            "d_steps": "D's updates",
            "optimizer.discriminator.lr": "D's rate (G's: 0.001)",
            "model.discriminator.width": "D's width (G's: 16)",
            "value": "FID of 2,000 samples",
        }
    )
    grid = sns.catplot(
        runs,
        x="D's rate (G's: 0.001)",
        y="FID of 2,000 samples",
        hue="D's width (G's: 16)",
        col="D's updates",
        kind="strip",
        dodge=True,
        jitter=False,
        palette="colorblind",
        height=3,
        aspect=1.2,
    )
    grid.set(yscale="log")
    grid.savefig(HERE / "balance.png", dpi=80)


if __name__ == "__main__":
    main()
