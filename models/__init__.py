"""What is learned: retrieval, ranking, text, fusion, and how it is judged."""
