//! The file of a review: what has changed is written into it, everything else in it stays as it is.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use model::review::Review;

/// A review's file, and what of the review is in it.
pub(super) struct Saved {
    file: PathBuf,
    review: Review,
}

impl Saved {
    /// A file from which a review was read; or, with an empty one, a file that is still to be made.
    pub(super) fn new(file: &Path, review: &Review) -> Self {
        Self { file: file.to_owned(), review: review.clone() }
    }

    /// Writes what has changed since the last time, into whatever the file holds now.
    pub(super) fn save(&mut self, review: &Review) -> Result<()> {
        // Behind a link stands the file that is meant.
        let file = fs::canonicalize(&self.file).unwrap_or_else(|_| self.file.clone());
        let name = self.file.display().to_string();
        let text = match fs::read_to_string(&file) {
            Ok(text) => match formats::review::edit(&name, &text, &self.review, review) {
                Some(edited) if edited == text => None,
                Some(edited) => Some(edited),
                None => {
                    let aside = beside(&file)?;
                    replace(&aside, &aside, &formats::review::print(review))?;
                    bail!(
                        "{name} was changed meanwhile and is no review any more, so it was left alone; all answers are in {}",
                        aside.display()
                    );
                }
            },
            Err(error) if error.kind() == ErrorKind::NotFound => Some(formats::review::print(review)),
            Err(error) => return Err(error).with_context(|| format!("cannot read {name}")),
        };
        if let Some(text) = text {
            replace(&beside(&file)?, &file, &text)?;
        }
        self.review = review.clone();
        Ok(())
    }
}

fn beside(file: &Path) -> Result<PathBuf> {
    let mut name = file.file_name().context("the review needs a file name")?.to_owned();
    name.push(".new");
    Ok(file.with_file_name(name))
}

/// Writes a text to disk beside a file and moves it there, so that a crash leaves the old one or the new one.
fn replace(aside: &Path, file: &Path, text: &str) -> Result<()> {
    let write = || -> std::io::Result<()> {
        let mut new = File::create(aside)?;
        if let Ok(old) = fs::metadata(file) {
            new.set_permissions(old.permissions())?;
        }
        new.write_all(text.as_bytes())?;
        new.sync_all()?;
        fs::rename(aside, file)
    };
    write().with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    const TEXT: &str = "# mine\nreview: 1\nworkload: { name: Shop } # ours\nanswers: {}\n";

    fn review(name: &str) -> Review {
        let mut review = Review::default();
        review.workload.name = name.to_owned();
        review
    }

    #[test]
    fn a_file_keeps_its_comments_its_rights_and_the_link_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("r.yaml"), folder.path().join("link.yaml"));
        fs::write(&file, TEXT).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        symlink(&file, &link).unwrap();
        let mut saved = Saved::new(&link, &review("Shop"));
        saved.save(&review("Store")).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), TEXT.replace("Shop", "Store"));
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        // Twice, and with somebody else's change between.
        fs::write(&file, TEXT.replace("Shop", "Store").replace("# mine", "# yours")).unwrap();
        saved.save(&review("Market")).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), TEXT.replace("Shop", "Market").replace("# mine", "# yours"));
    }

    #[test]
    fn what_is_no_review_any_more_is_left_alone_and_the_answers_lie_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("r.yaml");
        let mut saved = Saved::new(&file, &Review::default());
        saved.save(&review("Shop")).unwrap();
        fs::write(&file, "review: [").unwrap();
        let error = saved.save(&review("Store")).unwrap_err().to_string();
        assert!(error.contains("r.yaml.new"), "{error}");
        assert_eq!(fs::read_to_string(&file).unwrap(), "review: [");
        assert!(fs::read_to_string(folder.path().join("r.yaml.new")).unwrap().contains("name: Store"));
    }
}
