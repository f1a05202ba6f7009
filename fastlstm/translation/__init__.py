"""Encoder-decoders, which turn one sequence of symbols into another.

An encoder reads the source. Its last states become the first states of a decoder, which reads the target as far as it
is known, from a start symbol on, and predicts its next symbol (Cho et al. 2014; Sutskever, Vinyals & Le 2014). With
attention, each prediction also depends on the encoder's outputs at all steps of the source. Data flow:

1. `model.TranslationModel`: the layers and their weights.
2. `pairs.Pairs` -> `network.TranslationNetwork`: minibatches of both sides, each packed by its own lengths, through all
   layers and back; ``training.loop`` trains it.
3. `readout.Readout`: attention and head, in training and in decoding.
4. `decoding`: translations of new sources, symbol by symbol, by beam search.
"""
