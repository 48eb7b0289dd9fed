"""The papers of a model: attestation, model card and bill of materials, all from one record."""
