//! The questions that `lab advise` asks if it gets no flags.

use std::fmt::Display;
use std::io::{self, BufRead, Write};

use super::mix::{Mix, share};
use crate::error::{CommandError, usage};

/// Asks. An empty line takes the default, and an invalid answer repeats the question.
///
/// # Errors
/// [`CommandError::Usage`] if the input ends, or if it can't ask.
pub(super) fn ask(input: &mut impl BufRead, output: &mut impl Write) -> Result<Mix, CommandError> {
    let usual = Mix::default();
    let mut one = Questions { input, output };
    let connections = one.ask("connections at once", usual.connections, |text| {
        whole(text, 1, 16_000)
    })?;
    let wait_us = one.ask(
        "a request waits for others, in microseconds",
        usual.wait_us,
        |text| whole(text, 0, 10_000_000),
    )?;
    let cpu_us = one.ask(
        "a request computes, in microseconds",
        usual.cpu_us,
        |text| whole(text, 0, 10_000_000),
    )?;
    let blocking = one.ask(
        "share of requests that make a blocking call, such as 0.05 or 5%",
        usual.blocking,
        share,
    )?;
    let block_us = if blocking > 0.0 {
        one.ask(
            "such a call blocks, in microseconds",
            usual.block_us,
            |text| whole(text, 1, 10_000_000),
        )?
    } else {
        usual.block_us
    };
    let least_ms = (wait_us + cpu_us) as f64 / 1e3;
    let p99_ms = one.ask(
        "99 in 100 requests are to be answered within, in milliseconds",
        usual.p99_ms.max(2.0 * least_ms),
        |text| match text.parse::<f64>() {
            Ok(ms) if ms > least_ms && ms <= 60_000.0 => Ok(ms),
            _ => Err(format!(
                "more than {least_ms} ms, which a request alone takes, up to 60000"
            )),
        },
    )?;
    Ok(Mix {
        connections,
        wait_us,
        cpu_us,
        blocking,
        block_us,
        p99_ms,
    })
}

fn whole(text: &str, least: u64, most: u64) -> Result<u64, String> {
    match text.parse() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => Err(format!("a whole number from {least} to {most}")),
    }
}

struct Questions<'a, I, O> {
    input: &'a mut I,
    output: &'a mut O,
}

impl<I: BufRead, O: Write> Questions<'_, I, O> {
    fn ask<T: Display + Copy>(
        &mut self,
        question: &str,
        usual: T,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, CommandError> {
        let failed = |error: io::Error| usage(format!("can't ask ({error}); use flags"));
        loop {
            write!(self.output, "{question} [{usual}]: ")
                .and_then(|()| self.output.flush())
                .map_err(failed)?;
            let mut line = String::new();
            if self.input.read_line(&mut line).map_err(failed)? == 0 {
                return Err(usage(
                    "the answers ended before the questions; use flags, or answer all".to_owned(),
                ));
            }
            let line = line.trim();
            if line.is_empty() {
                return Ok(usual);
            }
            match parse(line) {
                Ok(value) => return Ok(value),
                Err(why) => writeln!(self.output, "  expected {why}").map_err(failed)?,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_make_a_mix_and_an_empty_line_takes_the_default() {
        let mut said = Vec::new();
        let answers = "1000\n\nmany\n200\n10%\n3000\n0.1\n20\n";
        let mix = ask(&mut answers.as_bytes(), &mut said).unwrap();
        assert_eq!(
            mix,
            Mix {
                connections: 1000,
                wait_us: 500,
                cpu_us: 200,
                blocking: 0.1,
                block_us: 3000,
                p99_ms: 20.0
            }
        );
        let said = String::from_utf8(said).unwrap();
        assert!(said.contains("expected a whole number from 0"), "{said}");
        assert!(said.contains("expected more than 0.7 ms"), "{said}");
    }

    #[test]
    fn without_blocking_the_duration_is_not_asked() {
        let mut said = Vec::new();
        let mix = ask(&mut "\n\n\n\n\n".as_bytes(), &mut said).unwrap();
        assert_eq!(mix, Mix::default());
        let error = ask(&mut "\n\n".as_bytes(), &mut said).unwrap_err();
        assert_eq!(error.exit_code(), 2);
    }
}
