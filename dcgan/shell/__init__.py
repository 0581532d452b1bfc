"""What a person types and is told: Hydra's shell, sweeps, the names of folders, resuming, status, errors. No torch."""
