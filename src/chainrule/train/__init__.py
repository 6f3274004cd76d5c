"""Training: the loop, its babysitter, runs on disk, and the files a trained model is kept in."""

from chainrule.train import report
from chainrule.train.boltzmann import contrastive_divergence, fit_deep_belief, fit_rbm
from chainrule.train.callbacks import Event
from chainrule.train.checkpoints import Checkpoint
from chainrule.train.early_stopping import EarlyStopping
from chainrule.train.evaluation import predict
from chainrule.train.fit import fit
from chainrule.train.history import History
from chainrule.train.metrics import METRICS
from chainrule.train.model_files import load_model, save_model
from chainrule.train.precision import Float16
from chainrule.train.pretraining import pretrain
from chainrule.train.resuming import resume
from chainrule.train.runs import Run
from chainrule.train.scoring import evaluate

__all__ = [
    "Checkpoint", "EarlyStopping", "Event", "Float16", "History", "METRICS", "Run",
    "contrastive_divergence", "evaluate", "fit", "fit_deep_belief", "fit_rbm", "load_model",
    "predict", "pretrain", "report", "resume", "save_model",
]  # fmt: skip
