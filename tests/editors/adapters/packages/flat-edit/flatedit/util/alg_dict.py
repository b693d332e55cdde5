from flatedit.models.ft import apply_ft_to_model
from flatedit.models.shift import ShiftRewriteExecutor, apply_advice_to_model

ALG_DICT = {
    "FT": apply_ft_to_model,
    "SHIFT": ShiftRewriteExecutor().apply_to_model,
    "ADVICE": apply_advice_to_model,
}
