//! `Lent`: a value that goes home when its holder is dropped, also when the holder panicked.
//!
//! What an actor is built from outlives it this way, so that a fresh one can be built from the same parts.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

/// Where a value is while nobody holds it.
pub(crate) struct Home<T>(Arc<Mutex<Option<T>>>);

impl<T> Home<T> {
    /// The home of `value`.
    pub(crate) fn of(value: T) -> Self {
        Self(Arc::new(Mutex::new(Some(value))))
    }

    /// The value, if nobody holds it.
    pub(crate) fn lend(&self) -> Option<Lent<T>> {
        let value = self.0.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some(Lent { value: Some(value), home: Self(Arc::clone(&self.0)) })
    }
}

/// A value on loan.
pub(crate) struct Lent<T> {
    /// There until it is dropped.
    value: Option<T>,
    home: Home<T>,
}

impl<T> Lent<T> {
    /// A value that nobody waits for.
    pub(crate) fn for_good(value: T) -> Self {
        Self { value: Some(value), home: Home(Arc::default()) }
    }
}

impl<T> Deref for Lent<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().expect("a value on loan should be there")
    }
}

impl<T> DerefMut for Lent<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("a value on loan should be there")
    }
}

impl<T> Drop for Lent<T> {
    fn drop(&mut self) {
        *self.home.0.lock().unwrap_or_else(PoisonError::into_inner) = self.value.take();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_lent_to_one_holder_and_goes_home_when_that_one_panics() {
        let home = Home::of(1);
        let mut lent = home.lend().unwrap();
        assert!(home.lend().is_none());
        let holder = std::thread::spawn(move || {
            *lent += 1;
            panic!("the holder panics, as the test asked");
        });
        assert!(holder.join().is_err());
        assert_eq!(*home.lend().unwrap(), 2);
    }
}
