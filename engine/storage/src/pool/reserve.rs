//! The reserve: one free file of which no segment is made, so that rewriting has space to free more
//! where the disk is full.
//!
//! It is a free file to the manifest. Which of them it is only the open log knows, so a crash loses
//! nothing: the next opening sets one aside again.

use runtime::file;

use super::{Pace, Pool};
use crate::catalog::{CatalogError, Mutation};

impl Pool {
    /// Whether there is no file whose space a rewriting could have on a full disk.
    pub(crate) fn lacks_reserve(&self) -> bool {
        self.files.borrow().reserve.is_none()
    }

    /// Makes a free file the reserve, if there is one that fits and the reserve is lacking.
    pub(crate) fn set_reserve_aside(&self) {
        if self.lacks_reserve()
            && let Some(free) = self.take_free(self.segment_bytes)
        {
            self.files.borrow_mut().reserve = Some(free);
        }
    }

    /// Makes the reserve, of a free file if there is one. To be called by who prepares segments.
    ///
    /// # Errors
    /// The disk's or the catalog's. A full disk is not an error: `is_out_of_space` says so.
    pub(crate) async fn make_reserve(&self, pace: Pace) -> Result<(), CatalogError> {
        self.set_reserve_aside();
        match self.lacks_reserve() {
            true => self.until_stopped(self.create_reserve(pace)).await,
            false => Ok(()),
        }
    }

    async fn create_reserve(&self, pace: Pace) -> Result<(), CatalogError> {
        let Some((entry, _file)) = self.create(self.segment_bytes, pace).await? else {
            return Ok(());
        };
        match self.catalog.commit(vec![Mutation::PutFile(entry)]).await {
            Ok(()) => {}
            // The manifest does not know the file.
            Err(error) if error.is_for_space() => {
                self.ran_out_of_space();
                file::remove(&self.path(entry.file)).await?;
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        self.out_of_space.set(false);
        let displaced = self.files.borrow_mut().reserve.replace(entry);
        // One was given back meanwhile.
        self.files.borrow_mut().free.extend(displaced);
        Ok(())
    }

    /// Frees the reserve's space for a file that is to be made at once, before anybody else on the
    /// disk asks again. The next file that is given back becomes the reserve. False if there is
    /// none.
    ///
    /// # Errors
    /// The disk's or the catalog's.
    pub(crate) async fn give_up_reserve(&self) -> Result<bool, CatalogError> {
        let Some(entry) = self.files.borrow_mut().reserve.take() else { return Ok(false) };
        let removal = Mutation::RemoveFile { log: self.log, file: entry.file };
        if let Err(error) = self.catalog.commit(vec![removal]).await {
            // Where there is no space nothing has changed; any other error ends the log.
            self.files.borrow_mut().reserve = Some(entry);
            return Err(error);
        }
        // Should its name come back after a crash, opening removes it.
        file::remove(&self.path(entry.file)).await?;
        Ok(true)
    }
}
