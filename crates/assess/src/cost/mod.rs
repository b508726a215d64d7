//! What an outage costs, and what it is worth to prevent one.
