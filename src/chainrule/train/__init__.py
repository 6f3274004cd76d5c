"""Training: the loop, its babysitter, runs on disk, and the files a trained model is kept in."""

from chainrule.train.checkpoints import Checkpoint
from chainrule.train.model_files import load_model, save_model
from chainrule.train.runs import Run

__all__ = ["Checkpoint", "Run", "load_model", "save_model"]
