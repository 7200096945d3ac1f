//! The zoo as a time machine.
use crate::cli::ZooArgs;
use crate::compare::interruption::Interruption;
use crate::error::CommandError;
use crate::output::Output;

pub(crate) fn run(
    _arguments: &ZooArgs,
    _json: Option<Output>,
    _markdown: Option<Output>,
    _interruption: &Interruption,
) -> Result<(), CommandError> {
    Ok(())
}
