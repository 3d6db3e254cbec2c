"""Words that packs compare with."""
