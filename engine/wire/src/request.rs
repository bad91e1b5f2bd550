//! A body to a request: types first, then constraints.

use crate::constraint;
use crate::encoding::Encoding;
use crate::refusal::Refusal;
use crate::structure::{Members, Structure};
use crate::typed;

use model::ApiError;

/// Reads a request of one operation.
pub(crate) fn read<T: Structure>(encoding: Encoding, body: &[u8]) -> Result<T, Refusal> {
    let value = encoding.parse(body).map_err(|_| Refusal::NotReadable)?;
    let values = typed::structure(value, T::MEMBERS).map_err(Refusal::Type)?;
    constraint::check(&values, T::MEMBERS)
        .map_err(|error| Refusal::Api(ApiError::Validation(error)))?;
    Ok(T::from_members(Members::new(values)).expect("the constraints were checked"))
}

#[cfg(test)]
mod tests;
