//! The Poseidon2 layers: segments -> leaves -> one internal proof.
//!
//! All three layers are OpenVM's own circuits (`openvm-continuations`, `circuit::inner`), proven under the library's
//! BabyBear-Poseidon2 configuration. A leaf verifies segments and checks that they follow each other by program counter
//! and memory root; an internal proof does the same with leaves or internal proofs. The key of the `recursive` layer
//! depends neither on the program nor on the virtual machine's AIRs, so it ends a tree of any depth.

use std::sync::Arc;

use openvm_continuations::prover::{ChildVkKind, InnerCpuProver};
use openvm_stark_backend::keygen::types::MultiStarkVerifyingKey;
use openvm_stark_backend::proof::Proof;
use openvm_stark_backend::{StarkEngine, SystemParams};
use openvm_stark_sdk::config::baby_bear_poseidon2::{BabyBearPoseidon2Config, BabyBearPoseidon2CpuEngine, Digest};
use openvm_verify_stark_host::pvs::VkCommit;
use p3_baby_bear::BabyBear;

use super::error::RecursionError;
use crate::memory::give_back;

/// Configuration of every proof below the last layer.
pub type Native = BabyBearPoseidon2Config;
/// Engine of every proof below the last layer.
pub type NativeEngine = BabyBearPoseidon2CpuEngine;

/// Segments that one leaf verifies. The leaf's widest AIR grows with it.
pub const LEAF_ARITY: usize = 4;
/// Proofs that one internal proof verifies. Two are the fewest that reduce any number to one.
pub const INTERNAL_ARITY: usize = 2;

/// Parameters of the Poseidon2 layers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerParams {
    /// Of the leaf layer, which verifies segments.
    pub leaf: SystemParams,
    /// Of the layer that verifies leaves.
    pub internal: SystemParams,
    /// Of the layer that verifies the internal layer and itself. The last layer pays for its queries.
    pub recursive: SystemParams,
}

/// Provers of the Poseidon2 layers for one virtual machine.
pub struct Layers {
    leaf: InnerCpuProver<LEAF_ARITY>,
    internal: InnerCpuProver<INTERNAL_ARITY>,
    recursive: InnerCpuProver<INTERNAL_ARITY>,
    app_vk: Arc<MultiStarkVerifyingKey<Native>>,
}

impl Layers {
    /// Generates the keys, in seconds.
    pub fn new(app_vk: Arc<MultiStarkVerifyingKey<Native>>, params: &LayerParams) -> Self {
        let leaf = InnerCpuProver::new::<NativeEngine>(app_vk.clone(), params.leaf.clone(), false, None);
        let internal = InnerCpuProver::new::<NativeEngine>(leaf.get_vk(), params.internal.clone(), false, None);
        let recursive = InnerCpuProver::new::<NativeEngine>(internal.get_vk(), params.recursive.clone(), true, None);
        Self { leaf, internal, recursive, app_vk }
    }

    /// Verifying key of the proofs that [`Layers::aggregate`] returns.
    pub fn vk(&self) -> Arc<MultiStarkVerifyingKey<Native>> {
        self.recursive.get_vk()
    }

    /// Verifying key of the leaves.
    pub fn leaf_vk(&self) -> Arc<MultiStarkVerifyingKey<Native>> {
        self.leaf.get_vk()
    }

    /// Commitment to the constraints of the recursive layer, as a proof of that layer about itself shows it.
    pub fn recursive_commit(&self) -> Digest {
        self.recursive.get_vk_commit(true).cached_commit
    }

    /// Commitments to the virtual machine's, the leaf's and the internal layer's verifying keys, in this order.
    pub fn vk_commits(&self) -> [VkCommit<BabyBear>; 3] {
        [self.leaf.get_vk_commit(false), self.internal.get_vk_commit(false), self.recursive.get_vk_commit(false)]
    }

    /// Makes one proof of all segments, in their order.
    ///
    /// # Errors
    /// [`RecursionError::NoSegments`]; [`RecursionError::Child`] if a segment's proof is invalid;
    /// [`RecursionError::Prover`] if the back end fails.
    pub fn aggregate(&self, segments: &[Proof<Native>]) -> Result<Proof<Native>, RecursionError> {
        self.reduce(self.internal(&self.leaves(segments)?)?)
    }

    /// Makes the leaves of the tree: one proof for each [`LEAF_ARITY`] segments.
    ///
    /// # Errors
    /// As [`Layers::aggregate`].
    pub fn leaves(&self, segments: &[Proof<Native>]) -> Result<Vec<Proof<Native>>, RecursionError> {
        layer("leaf", &self.leaf, &self.app_vk, ChildVkKind::App, segments)
    }

    /// Makes one internal proof for each [`INTERNAL_ARITY`] leaves.
    ///
    /// # Errors
    /// As [`Layers::aggregate`].
    pub fn internal(&self, leaves: &[Proof<Native>]) -> Result<Vec<Proof<Native>>, RecursionError> {
        layer("internal", &self.internal, &self.leaf.get_vk(), ChildVkKind::Standard, leaves)
    }

    /// Makes one recursive proof of any number of internal proofs. The topmost is of one child: a proof of two has nearly
    /// twice the columns when stacked, for which the last proof would have to be 24 KB longer on L1.
    ///
    /// # Errors
    /// As [`Layers::aggregate`].
    pub fn reduce(&self, internal: Vec<Proof<Native>>) -> Result<Proof<Native>, RecursionError> {
        let mut children = internal.len();
        let mut level = layer("recursive", &self.recursive, &self.internal.get_vk(), ChildVkKind::Standard, &internal)?;
        while children > 1 {
            children = level.len();
            level = layer("recursive", &self.recursive, &self.vk(), ChildVkKind::RecursiveSelf, &level)?;
        }
        level.pop().ok_or(RecursionError::NoSegments)
    }
}

fn layer<const ARITY: usize>(
    name: &'static str,
    prover: &InnerCpuProver<ARITY>,
    child_vk: &MultiStarkVerifyingKey<Native>,
    kind: ChildVkKind,
    children: &[Proof<Native>],
) -> Result<Vec<Proof<Native>>, RecursionError> {
    if children.is_empty() {
        return Err(RecursionError::NoSegments);
    }
    // Trace generation asserts what an invalid child breaks, so it must never see one.
    let engine = NativeEngine::new(child_vk.inner.params.clone());
    for (index, child) in children.iter().enumerate() {
        engine.verify(child_vk, child).map_err(|reason| RecursionError::Child {
            layer: name,
            index,
            reason: reason.to_string(),
        })?;
    }
    children
        .chunks(ARITY)
        .map(|chunk| {
            let proof = prover.agg_prove_no_def::<NativeEngine>(chunk, kind);
            give_back();
            proof.map_err(|reason| RecursionError::prover(name, reason))
        })
        .collect()
}
