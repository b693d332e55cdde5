"""The acts, a family a file or several."""

from tools.hostile.act import Act, Family
from tools.hostile.acts import ends, left, models, patched

FAMILIES: tuple[Family, ...] = (
    *(ends.EXCEPTIONS, ends.EXITS, ends.SIGNALS),
    *(left.LEFT, left.STREAMS, left.FILES, left.LIMITS),
    *(patched.SETTINGS, patched.PATCHES),
    *(models.WEIGHTS, models.RETURNED, models.STRUCTURE, models.TOKENIZERS, models.EDITS),
)
ACTS: dict[str, Act] = {
    f"{family.name}: {name}": act for family in FAMILIES for name, act in family.acts.items()
}
