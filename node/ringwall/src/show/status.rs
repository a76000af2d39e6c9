//! `show status`.

use config::api::{self, Status, SyslogReceiver, Worker, WorkerState};

use crate::daemon::Daemon;
use crate::failure::Failure;
use crate::out::Out;
use crate::table::{Table, duration};

pub(super) fn run(daemon: &Daemon, out: &mut Out<'_>) -> Result<(), Failure> {
    let status: Status = daemon.client()?.get(api::STATUS)?;
    if out.json() {
        return Ok(out.value(&status)?);
    }
    let Status { name, id, version, pid, epoch, digest, sessions, sessions_max, .. } = &status;
    let up = duration(status.uptime_milliseconds);
    out.line(format!("node {name} ({id}), version {version}, process {pid}, up {up}"))?;
    out.line(format!("policy epoch {epoch}, digest {digest}"))?;
    out.line(format!("sessions {sessions} of {sessions_max}"))?;
    out.line(format!("capabilities {}", status.capabilities.join(", ")))?;
    for receiver in &status.syslog {
        let SyslogReceiver { to, delivers, sent, dropped, refused } = receiver;
        let state = if *delivers { "takes messages" } else { "TAKES NOTHING" };
        out.line(format!(
            "syslog {to}: {state}, {sent} sent, {dropped} dropped, {refused} refused"
        ))?;
    }
    let mut table = Table::new(&["WORKER", "STATE", "CPU", "SESSIONS", "RESTARTS"]);
    status.workers.iter().for_each(|worker| table.row(row(worker)));
    Ok(table.print("no workers", out)?)
}

fn row(worker: &Worker) -> [String; 5] {
    let state = match worker.state {
        WorkerState::Running => "running",
        WorkerState::DropOnly => "DROPS EVERYTHING",
        WorkerState::Silent => "SILENT",
    };
    [
        worker.worker.to_string(),
        state.to_owned(),
        worker.cpu.map(|cpu| cpu.to_string()).unwrap_or_default(),
        worker.sessions.to_string(),
        worker.restarts.to_string(),
    ]
}
