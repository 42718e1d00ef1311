"""From a help desk's pages to the next version of a dataset; the help desks themselves are in finetune/sources."""
