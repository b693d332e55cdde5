from .alg_dict import ALG_DICT as ALG_DICT
