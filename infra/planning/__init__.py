"""Planning on this machine: solvers in processes of their own, and files of the literature."""
