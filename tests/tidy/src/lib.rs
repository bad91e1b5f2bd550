//! Holds the house rules: the import table, file sizes, headers.
