//! Scripts and manifests that hand the segments of a plan to a scheduler.
//!
//! Every scheduler gets the same three facts: tasks by index, the exit codes of
//! [`Exit`](super::exit::Exit), and a command to run at the end.

use std::{
    io::{self, Write as _},
    num::NonZero,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::json;

use super::{Error, folder::Folder, plan::Plan};

/// A scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Scheduler {
    /// An array job, and a job that depends on it.
    Slurm,
    /// An Indexed Job of Kubernetes 1.33 or later, and a job that waits for it.
    K8s,
    /// GNU parallel, on this machine or over SSH.
    Parallel,
}

/// Print a script or manifest that computes all segments and joins them.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[arg(value_enum)]
    scheduler: Scheduler,
    /// The folder that `plan` wrote. Every machine must see it under this path.
    folder: PathBuf,
    /// Number of tasks; each loads the model once [default: one per segment, 1000 at most].
    #[arg(long)]
    tasks: Option<NonZero<usize>>,
    /// Hand it to the scheduler instead of printing it.
    #[arg(long)]
    run: bool,
    /// k8s: container image that has the command gst-upscale.
    #[arg(long, default_value = "gst-upscale")]
    image: String,
    /// k8s: persistent volume claim that holds the folder and the input.
    #[arg(long, default_value = "films")]
    claim: String,
    /// k8s: where the claim is mounted.
    #[arg(long, default_value = "/films")]
    mount: PathBuf,
}

/// Slurm's default limit for an array (MaxArraySize) is 1001.
const MAX_TASKS: usize = 1000;

/// Attempts of one task.
const ATTEMPTS: usize = 3;

/// Prints the script or manifest, or hands it to the scheduler.
///
/// # Errors
/// [`Error::Plan`], [`Error::Print`], or [`Error::Submit`] if the scheduler refuses it.
pub fn run(arguments: &Arguments) -> Result<(), Error> {
    let plan = Plan::read(&Folder::at(&arguments.folder))?;
    let folder = std::path::absolute(&arguments.folder).map_err(Error::Json)?;
    let wanted = arguments.tasks.map_or(MAX_TASKS, NonZero::get);
    let tasks = plan.segments.len().min(wanted).max(1);
    let (text, program, options): (_, _, &[&str]) = match arguments.scheduler {
        Scheduler::Slurm => (slurm(&folder, tasks), "sh", &[]),
        Scheduler::Parallel => (parallel(&folder, tasks), "sh", &[]),
        Scheduler::K8s => (k8s(arguments, &folder, tasks), "kubectl", &["create", "-f", "-"]),
    };
    if arguments.run { submit(program, options, &text) } else { Ok(say!("{}", text.trim_end())?) }
}

fn submit(program: &'static str, options: &[&str], text: &str) -> Result<(), Error> {
    let submit = || -> io::Result<bool> {
        let mut child = Command::new(program).args(options).stdin(Stdio::piped()).spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(text.as_bytes())?;
        }
        Ok(child.wait()?.success())
    };
    match submit() {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::Submit { program, why: "it reported an error".into() }),
        Err(error) => Err(Error::Submit { program, why: error.to_string() }),
    }
}

/// A word for the shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

fn slurm(folder: &Path, tasks: usize) -> String {
    let (last, retries) = (tasks - 1, ATTEMPTS - 1);
    let folder = quoted(folder);
    format!(
        r#"#!/bin/sh
# Hands the segments to Slurm. Add options of sbatch below, for example --gres=gpu:1.
set -eu
folder={folder}
job=$(sbatch --parsable --job-name=gst-upscale --array=0-{last} --requeue --open-mode=append \
    --output="$folder/slurm-%a.log" --signal=B:TERM@30 <<'TASK'
#!/bin/sh
gst-upscale remaster segment {folder} --of {tasks} &
task=$!
trap 'kill -TERM $task' TERM
wait $task
code=$?
# 75: it can succeed on another node. Above 128: a signal ended it, for example for lack of memory.
if {{ [ $code = 75 ] || [ $code -gt 128 ]; }} && [ "${{SLURM_RESTART_COUNT:-0}}" -lt {retries} ]; then
    scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_$SLURM_ARRAY_TASK_ID"
fi
exit $code
TASK
)
sbatch --job-name=gst-upscale-finish --dependency="afterok:$job" --open-mode=append \
    --output="$folder/slurm-finish.log" <<'FINISH'
#!/bin/sh
gst-upscale remaster finish {folder}
FINISH
"#
    )
}

fn parallel(folder: &Path, tasks: usize) -> String {
    let last = tasks - 1;
    let folder = quoted(folder);
    format!(
        r#"#!/bin/sh
# Computes the segments with GNU parallel. Add options, for example --sshlogin or --jobs.
set -eu
folder={folder}
seq 0 {last} | parallel --retries {ATTEMPTS} --joblog "$folder/parallel.log" \
    gst-upscale remaster segment "$folder" {{}} --of {tasks}
gst-upscale remaster finish "$folder"
"#
    )
}

/// JSON is YAML, and needs no quoting rules of its own.
fn k8s(arguments: &Arguments, folder: &Path, tasks: usize) -> String {
    let command = |last: &[&str]| {
        let mut command = vec!["gst-upscale".to_owned(), "remaster".to_owned()];
        command.extend(last.iter().map(|&word| word.to_owned()));
        command
    };
    let folder = folder.display().to_string();
    let container = |command: Vec<String>| {
        json!({
            "name": "gst-upscale",
            "image": arguments.image,
            "command": command,
            "volumeMounts": [{ "name": "films", "mountPath": arguments.mount }],
        })
    };
    let pod = |command: Vec<String>| {
        json!({ "spec": {
            "restartPolicy": "Never",
            "containers": [container(command)],
            "volumes": [{
                "name": "films",
                "persistentVolumeClaim": { "claimName": arguments.claim },
            }],
        } })
    };
    let manifest = json!({
        "apiVersion": "v1",
        "kind": "List",
        "items": [
            {
                "apiVersion": "batch/v1",
                "kind": "Job",
                "metadata": { "generateName": "gst-upscale-segments-" },
                "spec": {
                    "completionMode": "Indexed",
                    "completions": tasks,
                    "parallelism": tasks,
                    "backoffLimitPerIndex": ATTEMPTS - 1,
                    "podFailurePolicy": { "rules": [
                        { "action": "Ignore", "onPodConditions": [{ "type": "DisruptionTarget", "status": "True" }] },
                        // 65: it fails everywhere.
                        {
                            "action": "FailIndex",
                            "onExitCodes": { "operator": "In", "values": [65] },
                        },
                    ] },
                    "template": pod(command(&["segment", &folder, "--of", &tasks.to_string()])),
                },
            },
            // Kubernetes has no jobs that depend on others.
            {
                "apiVersion": "batch/v1",
                "kind": "Job",
                "metadata": { "generateName": "gst-upscale-finish-" },
                "spec": {
                    "backoffLimit": ATTEMPTS - 1,
                    "template": pod(command(&["finish", "--wait", &folder])),
                },
            },
        ],
    });
    format!("{manifest:#}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn syntax_is_valid(script: &str) -> bool {
        let mut shell = Command::new("sh").arg("-n").stdin(Stdio::piped()).spawn().unwrap();
        shell.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        shell.wait().unwrap().success()
    }

    #[test]
    fn scripts_are_valid_whatever_the_folder_is_called() {
        let folder = Path::new("/films/Schindler's $HOME; rm -rf .remaster");
        for script in [slurm(folder, 40), parallel(folder, 1)] {
            assert!(syntax_is_valid(&script), "{script}");
            assert!(script.contains(r"'/films/Schindler'\''s $HOME; rm -rf .remaster'"));
        }
    }

    #[test]
    fn an_array_has_one_index_per_task() {
        assert!(slurm(Path::new("/films"), 40).contains("--array=0-39 "));
        assert!(parallel(Path::new("/films"), 40).contains("seq 0 39 |"));
    }

    fn k8s_arguments() -> Arguments {
        Arguments {
            scheduler: Scheduler::K8s,
            folder: "/films/a.mkv.remaster".into(),
            tasks: None,
            run: false,
            image: "registry/gst-upscale:1".into(),
            claim: "films".into(),
            mount: "/films".into(),
        }
    }

    /// The types were generated from the published schema. An entry that it does not have is missing
    /// from what they write, and one that it requires is added.
    #[test]
    fn a_manifest_follows_the_published_schema_of_kubernetes() {
        let arguments = k8s_arguments();
        let manifest: serde_json::Value =
            serde_json::from_str(&k8s(&arguments, &arguments.folder, 7)).unwrap();
        for job in manifest["items"].as_array().unwrap() {
            let read: k8s_openapi::api::batch::v1::Job =
                serde_json::from_value(job.clone()).unwrap();
            assert_eq!(&serde_json::to_value(read).unwrap(), job);
        }
    }

    #[test]
    fn a_job_of_kubernetes_does_not_repeat_what_fails_everywhere() {
        let arguments = k8s_arguments();
        let manifest: serde_json::Value =
            serde_json::from_str(&k8s(&arguments, &arguments.folder, 7)).unwrap();
        let spec = &manifest["items"][0]["spec"];
        assert_eq!(spec["completions"], 7);
        assert_eq!(spec["podFailurePolicy"]["rules"][1]["onExitCodes"]["values"][0], 65);
        let command = &spec["template"]["spec"]["containers"][0]["command"];
        assert_eq!(command[3], "/films/a.mkv.remaster");
        let finish = &manifest["items"][1]["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(finish["command"][2], "finish");
        assert_eq!(finish["volumeMounts"][0]["mountPath"], "/films");
    }
}
