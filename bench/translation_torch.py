"""The network of LSTMTranslator in PyTorch, as a peer in speed.

It is written for speed on a CPU: everything is encoded and sorted before the first epoch, batches have sequences of
similar length, and the encoder packs only those whose lengths differ, as torch's LSTM is several times slower on packed
sequences than on padded ones; with `always_packs`, it packs all, as is usual. The decoder reads whole padded targets at
once, and attends to all steps by two batched products.
"""

import time

import numpy as np

try:
    import torch
    from torch.nn.functional import cross_entropy
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence
except ImportError:
    torch = None

PAD, START, END, UNKNOWN = range(4)  # the first codes of a vocabulary
IGNORED = -100  # the target of padding, which cross_entropy leaves out


def vocabulary(sequences):
    """Codes of symbols."""
    return {symbol: code for code, symbol in enumerate(sorted({s for row in sequences for s in row}), UNKNOWN + 1)}


def encode(sequences, codes):
    return [torch.tensor([codes.get(symbol, UNKNOWN) for symbol in row]) for row in sequences]


class Batches:
    """Minibatches of pairs, sorted by the lengths of sources and then targets; ties are broken anew in every epoch."""

    def __init__(self, sources, targets, batch_size):
        self.sources = pad_sequence(sources, batch_first=True, padding_value=PAD)
        start, end = torch.tensor([START]), torch.tensor([END])
        self.inputs = pad_sequence([torch.cat([start, row]) for row in targets], batch_first=True, padding_value=PAD)
        self.targets = pad_sequence([torch.cat([row, end]) for row in targets], batch_first=True, padding_value=IGNORED)
        self.S = torch.tensor([len(row) for row in sources])
        self.T = torch.tensor([len(row) + 1 for row in targets])
        self.batch_size = batch_size

    def __iter__(self):
        order = torch.from_numpy(np.lexsort([torch.rand(len(self.S)), -self.T, -self.S]))  # longest first, for packing
        batches = order.split(self.batch_size)
        for i in torch.randperm(len(batches)):
            rows = batches[i]
            S, T = int(self.S[rows[0]]), int(self.T[rows].max())
            yield self.sources[rows, :S], self.S[rows], self.inputs[rows, :T], self.targets[rows, :T]


if torch:

    class Translator(torch.nn.Module):
        """Encoder-decoder with Luong's attention: scores by dot products, after the decoder."""

        def __init__(
            self, V_source, V_target, hidden_size, num_layers=1, bidirectional=True, attention=True, embedding_size=32,
            dropout=0.0, always_packs=False,
        ):  # fmt: skip
            super().__init__()
            H, D = hidden_size, hidden_size * (1 + bidirectional)
            options = {"batch_first": True, "dropout": dropout if num_layers > 1 else 0.0}
            self.read = torch.nn.Embedding(V_source, embedding_size, PAD)
            self.write = torch.nn.Embedding(V_target, embedding_size, PAD)
            self.encoder = torch.nn.LSTM(embedding_size, H, num_layers, bidirectional=bidirectional, **options)
            self.decoder = torch.nn.LSTM(embedding_size, H, num_layers, **options)
            bridges = [torch.nn.ModuleList(torch.nn.Linear(D, H) for _ in range(num_layers)) for _ in "hc"]
            self.bridges = torch.nn.ModuleList(bridges) if bidirectional else None
            self.keys = torch.nn.Linear(D, H, bias=False) if attention and bidirectional else torch.nn.Identity()
            self.combine = torch.nn.Linear(D + H, H) if attention else None
            self.drop = torch.nn.Dropout(dropout)
            self.always_packs = always_packs
            self.head = torch.nn.Linear(H, V_target)

        def encode(self, sources, S):
            """Outputs [N, S, D], the decoder's initial states, and where there is padding [N, 1, S]."""
            x = self.read(sources)
            packs = self.always_packs or bool(S[-1] < S[0])
            outputs, states = self.encoder(pack_padded_sequence(x, S, batch_first=True) if packs else x)
            padding = None
            if packs:
                outputs, _ = pad_packed_sequence(outputs, batch_first=True)
                padding = (torch.arange(outputs.shape[1]) >= S[:, None])[:, None]
            if self.bridges is not None:
                states = tuple(map(self.bridge, self.bridges, states))
            return outputs, states, padding

        def bridge(self, layers, states):
            """States [layers * 2, N, H] of both directions as states [layers, N, H]."""
            both = torch.cat([states[0::2], states[1::2]], 2)
            return torch.stack([layer(state) for layer, state in zip(layers, both, strict=True)])

        def decode(self, inputs, states, outputs, keys, padding):
            """Logits [N, T, V] and the states after the last step."""
            h, states = self.decoder(self.write(inputs), states)
            if self.combine is not None:
                scores = torch.bmm(h, keys.transpose(1, 2))
                if padding is not None:
                    scores = scores.masked_fill(padding, -torch.inf)
                context = torch.bmm(torch.softmax(scores, 2), outputs)
                h = torch.tanh(self.combine(torch.cat([context, h], 2)))
            return self.head(self.drop(h)), states

        def forward(self, sources, S, inputs):
            outputs, states, padding = self.encode(sources, S)
            return self.decode(inputs, states, outputs, self.keys(outputs), padding)[0]

        @torch.inference_mode()
        def greedy(self, sources, S, max_length):
            """Codes [N, max_length] of the most likely next symbol at each step; sources are sorted, longest first."""
            outputs, states, padding = self.encode(sources, S)
            keys, symbols, written = self.keys(outputs), torch.full((len(S), 1), START), []
            for _ in range(max_length):
                logits, states = self.decode(symbols, states, outputs, keys, padding)
                symbols = logits.argmax(2)
                written.append(symbols)
            return torch.cat(written, 1)


class Peer:
    """A translator in training, with Adam and clipping by the gradient's norm; `options` are those of Translator."""

    def __init__(self, X, y, hidden_size, batch_size, learning_rate=1e-3, threads=1, seed=0, **options):
        torch.set_num_threads(threads)
        torch.manual_seed(seed)
        self.from_codes, self.to_codes = vocabulary(X), vocabulary(y)
        sizes = (len(codes) + UNKNOWN + 1 for codes in (self.from_codes, self.to_codes))
        self.model = Translator(*sizes, hidden_size, **options)
        self.optimiser = torch.optim.Adam(self.model.parameters(), learning_rate)
        self.batches = Batches(encode(X, self.from_codes), encode(y, self.to_codes), batch_size)

    def epoch(self):
        """Trains for an epoch; returns the mean loss of a batch."""
        self.model.train()
        losses = []
        for sources, S, inputs, targets in self.batches:
            self.optimiser.zero_grad()
            loss = cross_entropy(self.model(sources, S, inputs).flatten(0, 1), targets.flatten())
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimiser.step()
            losses.append(loss.item())
        return float(np.mean(losses))

    def predict(self, X, batch_size=500):
        """Greedy translations, lists of symbols."""
        self.model.eval()
        symbols = [None] * (UNKNOWN + 1) + list(self.to_codes)
        rows = encode(X, self.from_codes)
        order = sorted(range(len(X)), key=lambda i: -len(rows[i]))
        translations = [None] * len(X)
        for start in range(0, len(order), batch_size):
            batch = order[start : start + batch_size]
            sources = pad_sequence([rows[i] for i in batch], batch_first=True, padding_value=PAD)
            S = torch.tensor([len(rows[i]) for i in batch])
            written = self.model.greedy(sources, S, int(self.batches.T.max()) + 5)
            for i, codes in zip(batch, written.tolist(), strict=True):
                translations[i] = [symbols[code] for code in codes[: codes.index(END) if END in codes else None]]
        return translations


def torch_epoch_seconds(X, y, hidden_size, batch_size, threads, **options):
    """Seconds of an epoch, after a batch that sets torch up; None without torch."""
    if torch is None:
        return None
    Peer(X[:batch_size], y[:batch_size], hidden_size, batch_size, threads=threads, **options).epoch()
    peer = Peer(X, y, hidden_size, batch_size, threads=threads, **options)
    start = time.perf_counter()
    peer.epoch()
    return time.perf_counter() - start
