//! The proving engine of the configuration.

use super::{KeccakConfig, KeccakDevice, KeccakTranscript};
use openvm_cpu_backend::CpuBackend;
use openvm_stark_backend::prover::Coordinator;
use openvm_stark_backend::{StarkEngine, SystemParams};

/// OpenVM's CPU back end under [`KeccakConfig`].
pub struct KeccakEngine {
    device: KeccakDevice,
}

impl StarkEngine for KeccakEngine {
    type SC = KeccakConfig;
    type PB = CpuBackend<KeccakConfig>;
    type PD = KeccakDevice;
    type TS = KeccakTranscript;

    fn new(parameters: SystemParams) -> Self {
        Self { device: KeccakDevice::new(KeccakConfig::new(parameters)) }
    }

    fn config(&self) -> &KeccakConfig {
        self.device.config()
    }

    fn device(&self) -> &Self::PD {
        &self.device
    }

    fn initial_transcript(&self) -> KeccakTranscript {
        KeccakTranscript::default()
    }

    fn prover_from_transcript(
        &self,
        transcript: KeccakTranscript,
    ) -> Coordinator<Self::SC, Self::PB, Self::PD, Self::TS> {
        Coordinator::new(CpuBackend::new(), self.device.clone(), transcript)
    }
}
