//! How far a team has come with experiments: check-ups, phases of adoption and their measures.
