//! What outlives a request in a VM: metrics, shared data and shared queues.

use std::collections::{BTreeMap, VecDeque};

use super::abi::{MetricKind, Status};

/// The value of a metric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Sum of all increments.
    Counter(u64),
    /// Last value.
    Gauge(u64),
    /// Every recorded sample, in order.
    Histogram(Vec<u64>),
}

/// Metrics by name. A guest may define a name several times; all the ids stand for the same metric then.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    names: Vec<String>,
    values: BTreeMap<String, Metric>,
}

impl Metrics {
    pub(super) fn values(&self) -> &BTreeMap<String, Metric> {
        &self.values
    }

    pub(super) fn define(&mut self, kind: MetricKind, name: String) -> u32 {
        self.values.entry(name.clone()).or_insert(match kind {
            MetricKind::Counter => Metric::Counter(0),
            MetricKind::Gauge => Metric::Gauge(0),
            MetricKind::Histogram => Metric::Histogram(Vec::new()),
        });
        self.names.push(name);
        u32::try_from(self.names.len()).unwrap_or(u32::MAX)
    }

    fn metric(&mut self, id: u32) -> Result<&mut Metric, Status> {
        let index = usize::try_from(id)
            .unwrap_or(usize::MAX)
            .checked_sub(1)
            .ok_or(Status::NotFound)?;
        let name = self.names.get(index).ok_or(Status::NotFound)?;
        self.values.get_mut(name).ok_or(Status::NotFound)
    }

    pub(super) fn increment(&mut self, id: u32, offset: i64) -> Result<(), Status> {
        match self.metric(id)? {
            Metric::Counter(value) => {
                let offset = u64::try_from(offset).map_err(|_| Status::BadArgument)?;
                *value = value.wrapping_add(offset);
            }
            Metric::Gauge(value) => *value = value.wrapping_add_signed(offset),
            Metric::Histogram(_) => return Err(Status::BadArgument),
        }
        Ok(())
    }

    pub(super) fn record(&mut self, id: u32, sample: u64) -> Result<(), Status> {
        match self.metric(id)? {
            Metric::Counter(value) => *value = value.wrapping_add(sample),
            Metric::Gauge(value) => *value = sample,
            Metric::Histogram(samples) => samples.push(sample),
        }
        Ok(())
    }

    pub(super) fn get(&mut self, id: u32) -> Result<u64, Status> {
        match self.metric(id)? {
            Metric::Counter(value) | Metric::Gauge(value) => Ok(*value),
            Metric::Histogram(_) => Err(Status::BadArgument),
        }
    }
}

/// Values shared by all the contexts of a VM, each with a number that changes on every write.
#[derive(Debug, Default)]
pub(super) struct SharedData {
    values: BTreeMap<Vec<u8>, (Vec<u8>, u32)>,
    writes: u32,
}

impl SharedData {
    pub(super) fn get(&self, key: &[u8]) -> Result<(Vec<u8>, u32), Status> {
        self.values.get(key).cloned().ok_or(Status::NotFound)
    }

    /// Writes a value; a `cas` other than 0 must be the number of the value that is there.
    pub(super) fn set(&mut self, key: Vec<u8>, value: Vec<u8>, cas: u32) -> Result<(), Status> {
        if cas != 0
            && self
                .values
                .get(&key)
                .is_some_and(|(_, current)| *current != cas)
        {
            return Err(Status::CasMismatch);
        }
        self.writes += 1;
        self.values.insert(key, (value, self.writes));
        Ok(())
    }
}

/// Queues by name; a message wakes the root context that registered the queue.
#[derive(Debug, Default)]
pub(super) struct SharedQueues {
    queues: Vec<Queue>,
}

#[derive(Debug)]
struct Queue {
    name: Vec<u8>,
    root: u32,
    messages: VecDeque<Vec<u8>>,
    wake: bool,
}

impl SharedQueues {
    pub(super) fn register(&mut self, name: Vec<u8>, root: u32) -> u32 {
        match self.resolve(&name) {
            Ok(id) => id,
            Err(_) => {
                self.queues.push(Queue {
                    name,
                    root,
                    messages: VecDeque::new(),
                    wake: false,
                });
                u32::try_from(self.queues.len()).unwrap_or(u32::MAX)
            }
        }
    }

    pub(super) fn resolve(&self, name: &[u8]) -> Result<u32, Status> {
        let index = self
            .queues
            .iter()
            .position(|queue| queue.name == name)
            .ok_or(Status::NotFound)?;
        u32::try_from(index + 1).map_err(|_| Status::NotFound)
    }

    pub(super) fn enqueue(&mut self, id: u32, message: Vec<u8>) -> Result<(), Status> {
        let queue = self.queue(id)?;
        queue.messages.push_back(message);
        queue.wake = true;
        Ok(())
    }

    pub(super) fn dequeue(&mut self, id: u32) -> Result<Vec<u8>, Status> {
        self.queue(id)?.messages.pop_front().ok_or(Status::Empty)
    }

    /// The next queue that has got a message since its root context was last woken: root context and queue id.
    pub(super) fn take_wake(&mut self) -> Option<(u32, u32)> {
        let (index, queue) = self
            .queues
            .iter_mut()
            .enumerate()
            .find(|(_, queue)| queue.wake)?;
        queue.wake = false;
        Some((queue.root, u32::try_from(index + 1).ok()?))
    }

    fn queue(&mut self, id: u32) -> Result<&mut Queue, Status> {
        let index = usize::try_from(id)
            .unwrap_or(usize::MAX)
            .checked_sub(1)
            .ok_or(Status::NotFound)?;
        self.queues.get_mut(index).ok_or(Status::NotFound)
    }
}
