//! Reviews by a lens: answers, risks, plans.
