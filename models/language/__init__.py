"""BERT of one's own: words learned from the shop's texts, pre-trained on them, made a ranker."""
