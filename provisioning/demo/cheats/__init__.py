"""Ways to cheat, each really done on files, processes and visits, and judged by the tools that anybody has."""
