//! The API by URL: a file for each group, as in the API itself.
