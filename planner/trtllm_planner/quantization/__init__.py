"""Rules judged before anything is computed: pure functions of a question, all reported at once."""
