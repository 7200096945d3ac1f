//! `lab ps`: the live tasks of a `lab serve`, as a tree by parent.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use crate::analysis::critical_path::short;
use crate::cli::PsArgs;
use crate::error::{CommandError, usage};
use crate::load;
use crate::serve::tasks::{Lasting, PATH, SCHEMA, Task, Tasks};
use crate::terminal;
use crate::units::duration_ns;

/// A live server answers much sooner.
const TIMEOUT: Duration = Duration::from_secs(10);
/// A list of tasks is never this long.
const MAX_BYTES: u64 = 1 << 30;

/// The command `lab ps`.
///
/// # Errors
/// [`CommandError::Usage`] if nothing answers there, or not with tasks; [`CommandError::Failed`] if tasks are
/// deadlocked.
pub(crate) fn run(arguments: &PsArgs) -> Result<(), CommandError> {
    let address = load::resolve(&arguments.addr)?;
    let refuse = |why: String| {
        usage(format!(
            "--addr {}: {why}; start `lab serve` with --tasks, and give the address that it prints",
            arguments.addr.escape_debug()
        ))
    };
    let body = fetch(address).map_err(|error| refuse(error.to_string()))?;
    let tasks: Tasks = serde_json::from_str(&body)
        .ok()
        .filter(|tasks: &Tasks| tasks.schema == SCHEMA)
        .ok_or_else(|| refuse(format!("the answer is not `{SCHEMA}`")))?;
    if !tasks.listed {
        return Err(refuse("the served runtime lists no tasks".to_owned()));
    }
    if arguments.json {
        terminal::print(&body)?;
    } else {
        terminal::print(&text(&tasks))?;
    }
    match tasks.deadlocks.as_slice() {
        [] => Ok(()),
        [first, ..] => Err(CommandError::Failed(format!(
            "deadlock: {}",
            circle(&tasks, first)
        ))),
    }
}

/// The page's body.
fn fetch(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    write!(
        stream,
        "GET {PATH} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    // Another kind of server might wait for more input.
    stream.shutdown(Shutdown::Write)?;
    let mut answer = Vec::new();
    stream.take(MAX_BYTES).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .ok_or_else(|| io::Error::other("it does not speak HTTP"))?;
    if !head.starts_with("HTTP/1.1 200") {
        return Err(io::Error::other("it has no list of tasks"));
    }
    Ok(body.to_owned())
}

/// The tree, with a line per task, and below it what the task holds.
fn text(tasks: &Tasks) -> String {
    let known: BTreeSet<&str> = tasks.tasks.iter().map(|task| task.id.as_str()).collect();
    let mut children: BTreeMap<Option<&str>, Vec<&Task>> = BTreeMap::new();
    for task in &tasks.tasks {
        let parent = task.parent.as_deref();
        let parent = parent.filter(|parent| known.contains(parent));
        children.entry(parent).or_default().push(task);
    }
    let mut lines = format!("{} tasks\n", tasks.tasks.len());
    let mut shown = BTreeSet::new();
    let mut left: Vec<(usize, &Task)> = Vec::new();
    let push = |left: &mut Vec<_>, parent: Option<&str>, depth: usize| {
        let those = children.get(&parent).into_iter().flatten().rev();
        left.extend(those.map(|&task| (depth, task)));
    };
    push(&mut left, None, 0);
    loop {
        while let Some((depth, task)) = left.pop() {
            if shown.insert(task.id.as_str()) {
                add_task(&mut lines, tasks, task, depth);
                push(&mut left, Some(&task.id), depth + 1);
            }
        }
        // Ids can be reused, so a task can appear as its own ancestor.
        match tasks
            .tasks
            .iter()
            .find(|it| !shown.contains(it.id.as_str()))
        {
            Some(task) => left.push((0, task)),
            None => return lines,
        }
    }
}

fn add_task(lines: &mut String, tasks: &Tasks, task: &Task, depth: usize) {
    let indent = "  ".repeat(depth);
    let waits: Vec<_> = task
        .waits
        .iter()
        .map(|wait| wait_text(tasks, wait))
        .collect();
    let does = match (task.state.as_str(), waits.as_slice()) {
        ("waiting", []) => "waits".to_owned(),
        ("waiting", _) => format!("waits for {}", waits.join(" or ")),
        (other, _) => other.to_owned(),
    };
    let _ = writeln!(lines, "{indent}{} {}: {does}", task.id, label(task));
    for held in &task.holds {
        let _ = writeln!(
            lines,
            "{indent}  holds {} for {}",
            name_of(held),
            duration_ns(held.for_ns as f64)
        );
    }
}

fn wait_text(tasks: &Tasks, wait: &Lasting) -> String {
    let mut text = format!("{} for {}", name_of(wait), duration_ns(wait.for_ns as f64));
    let holders: Vec<_> = holders(tasks, wait).map(|it| it.id.as_str()).collect();
    if !holders.is_empty() {
        let _ = write!(text, ", held by {}", holders.join(" and "));
    }
    text
}

fn holders<'a>(tasks: &'a Tasks, wait: &'a Lasting) -> impl Iterator<Item = &'a Task> {
    let is_it = |held: &Lasting| held.kind == wait.kind && held.which == wait.which;
    let tasks = tasks.tasks.iter();
    tasks.filter(move |task| task.holds.iter().any(is_it))
}

fn name_of(lasting: &Lasting) -> String {
    match &lasting.which {
        Some(which) => format!("{} {which}", lasting.kind),
        None => lasting.kind.clone(),
    }
}

fn label(task: &Task) -> String {
    let name = short(&task.name);
    match &task.site {
        Some(site) => format!("{name} ({site})"),
        None => name,
    }
}

/// The tasks of a deadlock and what each waits for, in one line.
fn circle(tasks: &Tasks, ids: &[String]) -> String {
    let of = |id: &String| tasks.tasks.iter().find(|task| task.id == *id);
    let parts: Vec<_> = ids
        .iter()
        .filter_map(of)
        .map(|task| {
            let waits = task.waits.iter().map(name_of).collect::<Vec<_>>();
            format!(
                "{} {} waits for {}",
                task.id,
                label(task),
                waits.join(" and ")
            )
        })
        .collect();
    format!("{}, and so on in a circle", parts.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lasting(kind: &str, which: &str) -> Lasting {
        Lasting {
            kind: kind.to_owned(),
            which: Some(which.to_owned()),
            for_ns: 2_000_000,
        }
    }

    fn task(id: &str, parent: Option<&str>, waits: &[Lasting], holds: &[Lasting]) -> Task {
        Task {
            id: id.to_owned(),
            name: format!("task {id}"),
            parent: parent.map(str::to_owned),
            state: "waiting".to_owned(),
            waits: waits.to_vec(),
            holds: holds.to_vec(),
            ..Task::default()
        }
    }

    fn two() -> Tasks {
        let (one, other) = (lasting("mutex", "1"), lasting("mutex", "2"));
        Tasks {
            schema: SCHEMA.to_owned(),
            listed: true,
            tasks: vec![
                task(
                    "b",
                    Some("a"),
                    std::slice::from_ref(&one),
                    std::slice::from_ref(&other),
                ),
                task("a", None, &[other], &[one]),
            ],
            deadlocks: vec![vec!["a".to_owned(), "b".to_owned()]],
        }
    }

    #[test]
    fn tasks_are_listed_under_their_parents_with_their_locks() {
        let expected = "2 tasks\n\
            a task a: waits for mutex 2 for 2.00 ms, held by b\n  \
              holds mutex 1 for 2.00 ms\n  \
              b task b: waits for mutex 1 for 2.00 ms, held by a\n    \
                holds mutex 2 for 2.00 ms\n";
        assert_eq!(text(&two()), expected);
    }

    #[test]
    fn a_circle_is_one_line() {
        let tasks = two();
        assert_eq!(
            circle(&tasks, &tasks.deadlocks[0]),
            "a task a waits for mutex 2; b task b waits for mutex 1, and so on in a circle"
        );
    }

    #[test]
    fn a_task_that_is_its_own_ancestor_is_shown_once() {
        let mut tasks = two();
        tasks.tasks[1].parent = Some("b".to_owned());
        assert_eq!(text(&tasks).matches("task a: ").count(), 1);
    }
}
