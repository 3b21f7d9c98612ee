"""The embedded policy's tokenizer: a small byte-level BPE that encodes any text and keeps the generator's short.

Bytes are the base, so that every text makes the round trip; the merges are learnt from the generator's own
questions and completions.  Every digit is its own token.  The tags and ``\\boxed{`` are ordinary tokens, with the
line breaks beside them, and survive ``skip_special_tokens``.
"""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

VOCABULARY_SIZE = 640  # 256 bytes, 5 special tokens, and enough merges to make each word of the generator one token
PAD, EOS = "<|endoftext|>", "<|im_end|>"
ROLES = ("<|system|>", "<|user|>", "<|assistant|>")

# ChatML with one token for "<|im_start|>user\n" and none for the line break between messages: three tokens beside
# the text of a one-message prompt.
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] not in ('system', 'user', 'assistant') %}"
    "{{ raise_exception('the embedded policy knows the roles system, user and assistant, not ' ~ message['role']) }}"
    "{% endif %}"
    "{{ '<|' + message['role'] + '|>' }}"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}{{ part['text'] }}{% endfor %}{% endif %}"
    "{{ '<|im_end|>' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)

# What no merge may cross.  A word takes the space before it, and the one after it if a number follows: a digit
# then looks the same everywhere, at no extra token.
_PIECES = Regex(
    r"\n?</?(?:think|answer)>\n?|\\boxed\{|[0-9]| [-+*/=] |"
    r" ?\p{L}+(?: (?=[0-9]))?| ?[^\s\p{L}0-9<\\]+|[<\\]|\s+(?!\S)|\s+"
)


def make_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """Learn the merges from ``texts`` and wrap the result for transformers."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(_PIECES, behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE,
        special_tokens=[PAD, EOS, *ROLES],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=EOS,
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
        padding_side="left",  # for generation
        model_max_length=2048,
    )
