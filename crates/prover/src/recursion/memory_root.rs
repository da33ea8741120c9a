//! The one AIR of our own: it hands a public memory root to the AIR that opens the user public values in it.

use openvm_circuit_primitives::ColumnsAir;
use openvm_continuations::circuit::root::bus::{MemoryMerkleCommitBus, MemoryMerkleCommitMessage};
use openvm_stark_backend::interaction::InteractionBuilder;
use openvm_stark_backend::p3_air::{Air, AirBuilderWithPublicValues, BaseAir};
use openvm_stark_backend::p3_matrix::Matrix;
use openvm_stark_backend::{BaseAirWithPublicValues, PartitionedBaseAir};
use openvm_stark_sdk::config::baby_bear_poseidon2::DIGEST_SIZE;
use p3_field::PrimeCharacteristicRing;

/// Sends its public values, a memory root, on a bus, once for each row of its trace.
///
/// The bus is a permutation check and its only receiver takes one message, so the trace has one row. A verifier compares
/// the public values with the final memory root that `VmPvsAir` shows.
pub struct MemoryRootAir {
    /// To `UserPvsInMemoryAir`.
    pub bus: MemoryMerkleCommitBus,
}

impl ColumnsAir for MemoryRootAir {}

impl<F> BaseAir<F> for MemoryRootAir {
    fn width(&self) -> usize {
        DIGEST_SIZE
    }
}

impl<F> BaseAirWithPublicValues<F> for MemoryRootAir {
    fn num_public_values(&self) -> usize {
        DIGEST_SIZE
    }
}

impl<F> PartitionedBaseAir<F> for MemoryRootAir {}

impl<AB: InteractionBuilder + AirBuilderWithPublicValues> Air<AB> for MemoryRootAir {
    fn eval(&self, builder: &mut AB) {
        let main = builder.main();
        let local = main.row_slice(0).expect("a window has a first row");
        let merkle_root: [AB::Var; DIGEST_SIZE] = std::array::from_fn(|limb| local[limb]);
        let expected: [AB::PublicVar; DIGEST_SIZE] = std::array::from_fn(|limb| builder.public_values()[limb]);
        for (limb, value) in merkle_root.into_iter().zip(expected) {
            builder.assert_eq(limb, value.into());
        }
        self.bus.send(builder, MemoryMerkleCommitMessage { merkle_root }, AB::Expr::ONE);
    }
}
