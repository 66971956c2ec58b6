//! What was measured, where and when: a JSON file with every single run, from which the tables can be made again.

use std::fs;
use std::path::Path;

use anyhow::Context;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::machine::{Cores, Machine};

#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Record<R> {
    pub machine: Machine,
    /// As it was called, without the path of the binary.
    pub arguments: Vec<String>,
    /// What could not be measured here, with the reason.
    pub missing: Vec<String>,
    pub runs: Vec<R>,
}

impl<R: DeserializeOwned + Serialize> Record<R> {
    /// Runs that are about to begin, here and now, server and load generator on these cores.
    pub fn begin(cores: Cores, missing: Vec<String>) -> anyhow::Result<Self> {
        Ok(Self {
            machine: Machine::here(cores)?,
            arguments: std::env::args().skip(1).collect(),
            missing,
            runs: Vec::new(),
        })
    }

    /// What is said above every table.
    pub fn heading(&self) -> String {
        let missing = self.missing.iter();
        let missing = missing.map(|missing| format!("Missing: {missing}.\n\n"));
        format!(
            "Machine: {}.\n\n{}",
            self.machine,
            missing.collect::<String>()
        )
    }

    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let write = || {
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            fs::write(path, serde_json::to_vec_pretty(self)?)
        };
        write().with_context(|| path.display().to_string())
    }

    /// Nothing where there is no such file.
    pub fn read(path: &Path) -> anyhow::Result<Option<Self>> {
        if !path.exists() {
            return Ok(None);
        }
        let read = || serde_json::from_slice(&fs::read(path)?).map_err(anyhow::Error::from);
        read().map(Some).with_context(|| path.display().to_string())
    }
}
