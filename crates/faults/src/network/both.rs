//! What a fault has once for the links and once for the loopback, as far as packets concerned come over them.

use crate::{
    fault::Failed,
    network::filter::{Course, Over},
};

/// One for the links, one for the loopback, or only one of them.
#[derive(Debug)]
pub(crate) struct Both<T> {
    links: Option<T>,
    loopback: Option<T>,
}

impl<T> Both<T> {
    /// Opens what these courses need.
    pub(crate) fn open(courses: &[Course], open: impl Fn(Over) -> Result<T, Failed>) -> Result<Self, Failed> {
        let one = |over| courses.iter().any(|course| course.over == over).then(|| open(over)).transpose();
        Ok(Self { links: one(Over::Links)?, loopback: one(Over::Loopback)? })
    }

    /// That of a course for which it was opened.
    pub(crate) fn of(&self, course: Course) -> &T {
        let one = match course.over {
            Over::Links => &self.links,
            Over::Loopback => &self.loopback,
        };
        one.as_ref().expect("opened for all courses: see Both::open")
    }
}

impl<T> IntoIterator for Both<T> {
    type Item = T;
    type IntoIter = std::iter::Chain<std::option::IntoIter<T>, std::option::IntoIter<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.links.into_iter().chain(self.loopback)
    }
}
