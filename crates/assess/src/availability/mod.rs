//! How available a design is, from its components and how they depend on each other.
