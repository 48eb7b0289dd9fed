"""An instrument for text-to-video models: scenes whose truth is known, and measures that read it off a clip.

Weights-free, so that nothing it says rests on footage that nobody licensed. It answers one question, whether a model
draws what a caption asks for, and only of scenes like these.
"""
