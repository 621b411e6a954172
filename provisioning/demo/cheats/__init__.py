"""Five ways to cheat, each really done on files and processes, judged by the real verifier, and put back."""
