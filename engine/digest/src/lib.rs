//! MD5 of one key and of many keys at once.
