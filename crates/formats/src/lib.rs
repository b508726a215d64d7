//! Other people's files <-> the model. Every finding has file, line and column.
