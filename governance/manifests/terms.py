"""Labels, source types, media types and names that our manifests use, for C2PA 2.4."""

from __future__ import annotations

from collections.abc import Mapping

SPEC_VERSION = "2.4.0"
PROMOTABLE_KEY = "promotable"
"""In our assertions: `false` for what is for research only. Absent: nothing is said against commercial use."""
GENERATOR_NAME = "cleartitle"

SNAPSHOT_LABEL = "org.cleartitle.dataset-snapshot"
MODEL_LABEL = "org.cleartitle.model"
CLIP_LABEL = "org.cleartitle.clip"
ACTIONS_LABEL = "c2pa.actions.v2"
DISCLOSURE_LABEL = "c2pa.ai-disclosure"
TRAINING_MINING_LABEL = "cawg.training-mining"
METADATA_LABEL = "cawg.metadata"
COMPONENTS_LABEL = "org.cleartitle.components"
SCREEN_LABEL = "org.cleartitle.replication-screen"
SOFT_BINDING_LABEL = "c2pa.soft-binding"
EXTERNAL_REFERENCE_LABEL = "c2pa.external-reference"

# A table of facts made by a program, weights derived from sampled content, and media made with such weights:
# IPTC Digital Source Type vocabulary, and C2PA's own addition to it for what is data rather than media.
SNAPSHOT_SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/dataDrivenMedia"
MODEL_SOURCE_TYPE = "http://c2pa.org/digitalsourcetype/trainedAlgorithmicData"
CLIP_SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"

MODEL_TYPE = "c2pa.types.model.pytorch"
SNAPSHOT_DATA_TYPES: tuple[Mapping[str, str], ...] = ({"type": "c2pa.types.dataset.pytorch"},)
SNAPSHOT_INGREDIENT = "snapshot"
MODEL_INGREDIENT = "model"
PROMPT_INGREDIENT = "prompt"
SOURCE_INGREDIENT = "source"
THUMBNAIL_RESOURCE = "thumbnail.jpg"
PROMPT_RESOURCE = "prompt.txt"

SNAPSHOT_MEDIA_TYPE = "application/json"
MODEL_MEDIA_TYPE = "application/octet-stream"
CLIP_MEDIA_TYPE = "video/mp4"
MERKLE_ALGORITHM = "sha256-rfc6962"
