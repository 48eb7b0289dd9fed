"""A keyed watermark: a 64-bit id spread over the luma of a film, and back (docs/watermark.md)."""
