//! Comparisons as a table for other programs: one row per comparison, RFC 4180.

use super::{Comparison, Results, Role};

const HEADER: &str = "workload,params,mode,metric,runtime,binary,policy,knobs,workers,role,baseline,baseline_binary,\
     processes,ratio,ci_low,ci_high,level,interval_method,p_value,noise_floor,margin,verdict,more_rounds,withheld";

impl Results {
    /// The comparisons with a header line. Unknown values are empty.
    pub fn comparisons_csv(&self) -> String {
        let mut text = format!("{HEADER}\r\n");
        for one in &self.comparisons {
            text.push_str(&line(&row(one)));
        }
        text
    }
}

fn row(one: &Comparison) -> [String; 24] {
    let pairs = |pairs: &mut dyn Iterator<Item = String>| pairs.collect::<Vec<_>>().join(" ");
    let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    let role = match one.role {
        Role::Arm => "arm",
        Role::Repeat => "a/a",
    };
    [
        one.workload.clone(),
        pairs(
            &mut one
                .params
                .iter()
                .map(|(name, value)| format!("{name}={value}")),
        ),
        one.mode.clone(),
        one.metric.clone(),
        one.runtime.clone(),
        one.config.binary.clone().unwrap_or_default(),
        one.config.policy.clone().unwrap_or_default(),
        pairs(
            &mut one
                .config
                .knobs
                .iter()
                .map(|(name, value)| format!("{name}={value}")),
        ),
        one.config
            .workers
            .map(|workers| workers.to_string())
            .unwrap_or_default(),
        role.to_owned(),
        one.baseline.clone(),
        one.baseline_config.binary.clone().unwrap_or_default(),
        one.processes.to_string(),
        number(one.ratio),
        number(one.ci95.map(|ends| ends[0])),
        number(one.ci95.map(|ends| ends[1])),
        number(one.level),
        one.interval_method.clone().unwrap_or_default(),
        number(one.p_value),
        number(one.noise_floor),
        number(one.margin),
        one.verdict
            .map(|verdict| verdict.to_string())
            .unwrap_or_default(),
        one.more_rounds
            .map(|rounds| rounds.to_string())
            .unwrap_or_default(),
        one.withheld.clone().unwrap_or_default(),
    ]
}

/// A line of a table, with its line end.
pub(crate) fn line(cells: &[String]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| quoted(cell)).collect();
    format!("{}\r\n", cells.join(","))
}

/// The rows of a table.
///
/// # Errors
/// If a quoted cell does not end, or if text follows its end.
pub(crate) fn parse(text: &str) -> Result<Vec<Vec<String>>, String> {
    let mut rows = vec![vec![String::new()]];
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let row = rows.last_mut().expect("there is a row");
        let cell = row.last_mut().expect("there is a cell");
        match character {
            ',' => row.push(String::new()),
            '\r' if characters.peek() == Some(&'\n') => {}
            '\n' => rows.push(vec![String::new()]),
            '"' if cell.is_empty() => loop {
                match characters.next() {
                    Some('"') if characters.peek() == Some(&'"') => {
                        characters.next();
                        cell.push('"');
                    }
                    Some('"') if matches!(characters.peek(), None | Some(',' | '\r' | '\n')) => {
                        break;
                    }
                    Some('"') => return Err("text follows a closing quote".to_owned()),
                    Some(other) => cell.push(other),
                    None => return Err("a quoted cell does not end".to_owned()),
                }
            },
            other => cell.push(other),
        }
    }
    // An empty last line is not a row.
    if rows.last().is_some_and(|row| *row == [""]) {
        rows.pop();
    }
    Ok(rows)
}

fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparisons::tests::{run, with};

    #[test]
    fn what_is_written_is_read_back() {
        let rows = [["a", "b,c", ""], ["say \"x\"", "two\r\nlines", "\""]];
        let rows = rows.map(|row| row.map(str::to_owned).to_vec());
        let text: String = rows.iter().map(|row| line(row)).collect();
        assert_eq!(parse(&text).unwrap(), rows);
        assert_eq!(parse("").unwrap(), Vec::<Vec<String>>::new());
        assert!(parse("a,\"b").is_err() && parse("\"a\"b\n").is_err());
    }

    #[test]
    fn each_comparison_is_a_row_with_as_many_cells_as_there_are_columns() {
        let mut runs = Vec::new();
        for round in 0..12 {
            runs.push(run("b,\"c\"", Role::Arm, round, 1000));
            runs.push(run("mn", Role::Arm, round, 2000));
        }
        let results = Results {
            comparisons: with("mn", &runs, false),
            ..Results::default()
        };
        let text = results.comparisons_csv();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 1 + results.comparisons.len());
        assert_eq!(lines[0].split(',').count(), 24);
        // The name contains a comma.
        assert_eq!(lines[1].split(',').count(), 25);
        assert!(
            lines[1].contains("\"b,\"\"c\"\"\"") && lines[1].contains(",better,"),
            "{text}"
        );
    }
}
