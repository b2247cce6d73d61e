//! The order of the jobs, and what may become of each: pure bookkeeping.

use serde::{Deserialize, Serialize};

use super::job::{Job, State};

/// All jobs, in the order in which they run.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Queue {
    /// The number of the newest job.
    last: u32,
    jobs: Vec<Job>,
}

/// What a user can do with a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    Pause,
    Resume,
    Cancel,
    /// Start a job again that failed or was cancelled.
    Retry,
    /// Let it run before the job in front of it.
    Up,
    Down,
}

/// Why an action is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("there is no job {0}")]
    NoJob(u32),
    #[error("job {number} is {}; this action is not possible", describe(*.state))]
    State { number: u32, state: State },
}

fn describe(state: State) -> &'static str {
    match state {
        State::Waiting => "waiting",
        State::Running => "running",
        State::Paused => "paused",
        State::Stopping => "stopping",
        State::Done => "finished",
        State::Failed => "failed",
        State::Cancelled => "cancelled",
    }
}

impl Queue {
    /// An empty queue whose jobs get numbers above `last`.
    pub fn after(last: u32) -> Self {
        Self { last, ..Self::default() }
    }

    /// A number for a new job.
    pub fn reserve(&mut self) -> u32 {
        self.last = self.last.saturating_add(1);
        self.last
    }

    /// Appends a job.
    pub fn add(&mut self, job: Job) {
        self.last = self.last.max(job.number);
        self.jobs.push(job);
    }

    /// Takes back a job that was just added.
    pub fn withdraw(&mut self, number: u32) {
        self.jobs.retain(|job| job.number != number);
    }

    pub fn jobs(&self) -> &[Job] {
        &self.jobs
    }

    /// # Errors
    /// [`Error::NoJob`].
    pub fn job(&self, number: u32) -> Result<&Job, Error> {
        self.jobs.iter().find(|job| job.number == number).ok_or(Error::NoJob(number))
    }

    /// # Errors
    /// [`Error::NoJob`].
    pub fn job_mut(&mut self, number: u32) -> Result<&mut Job, Error> {
        self.jobs.iter_mut().find(|job| job.number == number).ok_or(Error::NoJob(number))
    }

    /// Prepares a queue that was read after a restart: no job has a process.
    pub fn recover(&mut self) {
        for job in &mut self.jobs {
            job.state = match job.state {
                State::Running => State::Waiting,
                State::Stopping => State::Cancelled,
                state => state,
            };
        }
    }

    /// The job whose turn it is: the first one that waits, unless another one runs.
    pub fn next(&self) -> Option<&Job> {
        let is_busy = |job: &Job| matches!(job.state, State::Running | State::Stopping);
        if self.jobs.iter().any(is_busy) {
            return None;
        }
        self.jobs.iter().find(|job| job.state == State::Waiting)
    }

    /// Carries out an action. `has_process` says whether a process works on the job.
    ///
    /// # Errors
    /// See [`Error`]. The queue has not changed then.
    pub fn act(&mut self, number: u32, action: Action, has_process: bool) -> Result<(), Error> {
        let job = self.job_mut(number)?;
        let (state, refused) = (job.state, Error::State { number, state: job.state });
        job.state =
            match (action, state) {
                (Action::Pause, State::Waiting | State::Running) => State::Paused,
                (Action::Resume, State::Paused) => State::Waiting,
                (Action::Cancel, State::Waiting | State::Running | State::Paused) => {
                    if has_process { State::Stopping } else { State::Cancelled }
                }
                (Action::Retry, State::Failed | State::Cancelled) => {
                    job.message.clear();
                    State::Waiting
                }
                (Action::Up | Action::Down, _) => {
                    self.shift(number, action == Action::Up);
                    return Ok(());
                }
                _ => return Err(refused),
            };
        Ok(())
    }

    /// Exchanges a job with the next one, in this direction, that is not final.
    fn shift(&mut self, number: u32, up: bool) {
        let Some(from) = self.jobs.iter().position(|job| job.number == number) else { return };
        let open = |(_, job): &(usize, &Job)| !job.state.is_final();
        let mut others = self.jobs.iter().enumerate();
        let to = if up {
            others.rev().skip(self.jobs.len() - from).find(open)
        } else {
            others.by_ref().skip(from + 1).find(open)
        };
        if let Some(to) = to.map(|(index, _)| index) {
            self.jobs.swap(from, to);
        }
    }

    /// Removes a job that is finished, failed or cancelled.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn remove(&mut self, number: u32) -> Result<(), Error> {
        let state = self.job(number)?.state;
        if !state.is_final() {
            return Err(Error::State { number, state });
        }
        self.withdraw(number);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{job::Source, settings::Settings},
        *,
    };

    fn queue(states: &[State]) -> Queue {
        let mut queue = Queue::default();
        for state in states {
            let settings = serde_json::from_str::<Settings>(r#"{"model": "builtin"}"#).unwrap();
            let number = queue.reserve();
            queue.add(Job {
                number,
                name: String::new(),
                source: Source::Upload,
                settings,
                format: "mkv".into(),
                state: *state,
                message: String::new(),
                bytes: None,
            });
        }
        queue
    }

    fn numbers(queue: &Queue) -> Vec<u32> {
        queue.jobs().iter().map(|job| job.number).collect()
    }

    fn next(queue: &Queue) -> Option<u32> {
        queue.next().map(|job| job.number)
    }

    use State::{Cancelled, Done, Failed, Paused, Running, Stopping, Waiting};

    #[test]
    fn one_job_runs_at_a_time_in_the_order_of_the_queue() {
        assert_eq!(next(&queue(&[Done, Paused, Waiting, Waiting])), Some(3));
        assert_eq!(next(&queue(&[Waiting, Running])), None);
        assert_eq!(next(&queue(&[Waiting, Stopping])), None);
        assert_eq!(next(&queue(&[])), None);
    }

    #[test]
    fn a_paused_job_lets_the_next_one_run_and_goes_on_when_it_is_its_turn() {
        let mut queue = queue(&[Running, Waiting]);
        queue.act(1, Action::Pause, true).unwrap();
        assert_eq!(next(&queue), Some(2));
        queue.act(1, Action::Resume, true).unwrap();
        assert_eq!(next(&queue), Some(1));
    }

    #[test]
    fn a_cancelled_job_keeps_its_place_until_its_process_has_ended() {
        let mut queue = queue(&[Running, Waiting]);
        queue.act(1, Action::Cancel, true).unwrap();
        assert_eq!((queue.job(1).unwrap().state, next(&queue)), (Stopping, None));
        assert!(queue.act(1, Action::Retry, true).is_err());
        queue.act(2, Action::Cancel, false).unwrap();
        assert_eq!(queue.job(2).unwrap().state, Cancelled);
    }

    #[test]
    fn after_a_restart_the_job_that_ran_waits_again() {
        let mut queue = queue(&[Running, Stopping, Paused, Failed]);
        queue.recover();
        let states: Vec<_> = queue.jobs().iter().map(|job| job.state).collect();
        assert_eq!(states, [Waiting, Cancelled, Paused, Failed]);
    }

    #[test]
    fn jobs_move_past_finished_ones() {
        let mut queue = queue(&[Waiting, Done, Waiting, Waiting]);
        queue.act(4, Action::Up, false).unwrap();
        assert_eq!(numbers(&queue), [1, 2, 4, 3]);
        queue.act(4, Action::Up, false).unwrap();
        assert_eq!(numbers(&queue), [4, 2, 1, 3]);
        queue.act(4, Action::Up, false).unwrap();
        queue.act(3, Action::Down, false).unwrap();
        assert_eq!(numbers(&queue), [4, 2, 1, 3]);
        queue.act(4, Action::Down, false).unwrap();
        assert_eq!(numbers(&queue), [1, 2, 4, 3]);
    }

    #[test]
    fn actions_that_make_no_sense_are_refused() {
        let mut queue = queue(&[Done, Running, Paused]);
        for (number, action) in [
            (1, Action::Pause),
            (1, Action::Cancel),
            (1, Action::Retry),
            (2, Action::Resume),
            (2, Action::Retry),
            (3, Action::Pause),
        ] {
            assert!(queue.act(number, action, false).is_err(), "{number} {action:?}");
        }
        assert_eq!(queue.act(9, Action::Up, false), Err(Error::NoJob(9)));
        assert!(queue.remove(2).is_err());
        queue.remove(1).unwrap();
        assert_eq!(numbers(&queue), [2, 3]);
        assert_eq!(queue.reserve(), 4, "numbers are not used again");
    }
}
