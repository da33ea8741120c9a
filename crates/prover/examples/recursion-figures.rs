//! Measures recursion: keys, segments, layers and the last proof's shape.
//!
//! usage: recursion-figures ELF key=value ...   (see `docs/proving-figures.md`)

use std::collections::{HashMap, HashSet};
use std::fs;
use std::sync::Arc;
use std::time::Instant;

use exclave_prover::keccak::{KeccakConfig, KeccakEngine};
use exclave_prover::recursion::{
    self, Identity, LastCircuit, LastLayer, LayerKeys, LayerParams, Layers, Native, NativeEngine, ShortChild,
    ShortCircuit, ShortLayer,
};
use openvm_circuit::arch::*;
use openvm_circuit::system::memory::merkle::public_values::UserPublicValuesProof;
use openvm_instructions::exe::VmExe;
use openvm_keccak256_circuit::{Keccak256Rv32Config, Keccak256Rv32CpuBuilder};
use openvm_keccak256_transpiler::Keccak256TranspilerExtension;
use openvm_rv32im_circuit::{Rv32ImConfig, Rv32ImCpuBuilder};
use openvm_rv32im_transpiler::{Rv32ITranspilerExtension, Rv32IoTranspilerExtension, Rv32MTranspilerExtension};
use openvm_stark_backend::air_builders::symbolic::SymbolicExpressionNode;
use openvm_stark_backend::codec::Encode;
use openvm_stark_backend::keygen::types::{MultiStarkProvingKey, MultiStarkVerifyingKey};
use openvm_stark_backend::proof::Proof;
use openvm_stark_backend::soundness::SoundnessCalculator;
use openvm_stark_backend::{StarkEngine, StarkProtocolConfig, SystemParams, WhirProximityStrategy};
use openvm_stark_sdk::config::baby_bear_poseidon2::{DIGEST_SIZE, F};
use openvm_stark_sdk::config::{base_field_order, challenge_field_bits, params_with_100_bits_security};
use openvm_transpiler::elf::Elf;
use openvm_transpiler::transpiler::Transpiler;
use openvm_transpiler::FromElf;
use p3_field::PrimeCharacteristicRing;

struct Args(HashMap<String, String>);

impl Args {
    fn get<T: std::str::FromStr>(&self, key: &str, default: T) -> T {
        self.0.get(key).map_or(default, |value| value.parse().unwrap_or_else(|_| panic!("bad value of {key}")))
    }

    /// `key=log_blowup,l_skip,n_stack,w_stack,folding_pow,mu_pow,list_decoding_m(0: unique),query_pow,k,final_log,degree`
    fn params(&self, key: &str, default: [usize; 11]) -> SystemParams {
        let mut v = default;
        if let Some(text) = self.0.get(key) {
            for (slot, part) in v.iter_mut().zip(text.split(',')) {
                if !part.is_empty() {
                    *slot = part.parse().unwrap();
                }
            }
        }
        let prox = if v[6] == 0 {
            WhirProximityStrategy::UniqueDecoding
        } else {
            WhirProximityStrategy::ListDecoding { m: v[6] }
        };
        let logup = params_with_100_bits_security(v[0], v[1], v[2], v[3], v[4], v[5], prox, v[10], v[7], v[8]).logup;
        SystemParams::new(v[0], v[1], v[2], v[3], v[9], v[4], v[5], prox, 100, logup, v[10], v[7], v[8])
    }
}

fn cpu() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

fn status(key: &str) -> f64 {
    let text = fs::read_to_string("/proc/self/status").unwrap();
    text.lines().find(|l| l.starts_with(key)).unwrap().split_whitespace().nth(1).unwrap().parse::<f64>().unwrap()
        / 1048576.0
}

fn timed<T>(what: &str, body: impl FnOnce() -> T) -> T {
    let _ = fs::write("/proc/self/clear_refs", "5");
    let (wall, used) = (Instant::now(), cpu());
    let result = body();
    println!(
        "TIME {what:34} cpu={:8.2}s wall={:8.2}s peak={:.2}GB",
        cpu() - used,
        wall.elapsed().as_secs_f64(),
        status("VmHWM")
    );
    result
}

fn layer_keys(args: &Args, app_vk: &Arc<MultiStarkVerifyingKey<Native>>, params: &LayerParams) -> LayerKeys {
    let (directory, tag): (String, String) = (args.get("keys", ".".into()), args.get("tag", "default".into()));
    let path = |name: &str| format!("{directory}/{tag}-{name}.key");
    let load = |name: &str| fs::read(path(name)).ok().map(|bytes| Arc::new(bitcode::deserialize(&bytes).unwrap()));
    if let (Some(leaf), Some(internal), Some(recursive)) = (load("leaf"), load("internal"), load("recursive")) {
        return LayerKeys { leaf, internal, recursive };
    }
    let keys = timed("layers keygen", || Layers::new(app_vk.clone(), params).keys());
    for (name, key) in [("leaf", &keys.leaf), ("internal", &keys.internal), ("recursive", &keys.recursive)] {
        let bytes = bitcode::serialize(key.as_ref()).unwrap();
        println!("KEY {name} {} bytes", bytes.len());
        fs::write(path(name), bytes).unwrap();
    }
    keys
}

/// (distinct leaves, sibling nodes) of a pruned multiproof for pseudo-random indices.
fn pruned(queries: usize, depth: usize) -> (usize, usize) {
    let (mut indices, mut x) = (HashSet::new(), 0x9E37_79B9_7F4A_7C15_u64 ^ depth as u64);
    for _ in 0..queries {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        indices.insert((x >> 11) & ((1u64 << depth) - 1));
    }
    let (leaves, mut nodes) = (indices.len(), 0);
    for _ in 0..depth {
        nodes += indices.iter().filter(|i| !indices.contains(&(**i ^ 1))).count();
        indices = indices.iter().map(|i| i >> 1).collect();
    }
    (leaves, nodes)
}

/// Prints the shape of a proof and the modelled gas of its verification in Solidity (the spike's unit costs).
fn shape<SC: StarkProtocolConfig>(
    what: &str,
    proof: &Proof<SC>,
    vk: &MultiStarkVerifyingKey<SC>,
    names: &[String],
    airs_too: bool,
) {
    let (mut adds, mut muls, mut inter, mut msg, mut cons, mut airs, mut cols, mut rot) = (0, 0, 0, 0, 0, 0, 0, 0);
    let (mut cells, mut max_h, mut nodes_all, mut missing) = (0f64, 0, 0, vec![]);
    for (i, v) in proof.trace_vdata.iter().enumerate() {
        let Some(v) = v else {
            missing.push(names.get(i).cloned().unwrap_or_default());
            continue;
        };
        let a = &vk.inner.per_air[i];
        let c = &a.symbolic_constraints;
        let (mut ad, mut mu) = (0, 0);
        for n in &c.constraints.nodes {
            match n {
                SymbolicExpressionNode::Add { .. }
                | SymbolicExpressionNode::Sub { .. }
                | SymbolicExpressionNode::Neg { .. } => ad += 1,
                SymbolicExpressionNode::Mul { .. } => mu += 1,
                _ => {}
            }
        }
        let ms: usize = c.interactions.iter().map(|x| x.message.len()).sum();
        let w = a.params.width.total_width();
        if airs_too {
            println!(
                "  AIR {i:2} {:38} log_h={:2} width={w:4} rot={} cons={} inter={} msg={ms} add={ad} mul={mu}",
                names.get(i).map(|n| &n[..n.len().min(38)]).unwrap_or(""),
                v.log_height,
                a.params.need_rot as u8,
                c.constraints.constraint_idx.len(),
                c.interactions.len()
            );
        }
        adds += ad;
        muls += mu;
        inter += c.interactions.len();
        msg += ms;
        cons += c.constraints.constraint_idx.len();
        airs += 1;
        cols += w;
        rot += if a.params.need_rot { w } else { 0 };
        nodes_all += c.constraints.nodes.len();
        max_h = max_h.max(v.log_height);
        cells += w as f64 * f64::from(1u32 << v.log_height);
    }
    let (w, b) = (&proof.whir_proof, &proof.batch_constraint_proof);
    let openings: usize = b.column_openings.iter().flatten().map(Vec::len).sum();
    let layers = proof.gkr_proof.claims_per_layer.len();
    let gkr_rounds: usize = proof.gkr_proof.sumcheck_polys.iter().map(Vec::len).sum();
    let ncached: usize = proof.trace_vdata.iter().flatten().map(|v| v.cached_commitments.len()).sum();
    let pvs: usize = proof.public_values.iter().map(Vec::len).sum();
    let parts = [
        ("commits", 32 * (1 + ncached + w.codeword_commits.len())),
        ("pvs", 4 * pvs),
        ("gkr", 16 * (1 + 4 * layers) + 48 * gkr_rounds),
        (
            "batch",
            32 * b.numerator_term_per_air.len()
                + 16 * (b.univariate_round_coeffs.len() + b.sumcheck_round_polys.iter().map(Vec::len).sum::<usize>()),
        ),
        ("openings", 16 * openings),
        (
            "stacking",
            16 * (proof.stacking_proof.univariate_round_coeffs.len()
                + 2 * proof.stacking_proof.sumcheck_round_polys.len()
                + proof.stacking_proof.stacking_openings.iter().map(Vec::len).sum::<usize>()),
        ),
        (
            "whir_rounds",
            16 * (2 * w.whir_sumcheck_polys.len() + w.ood_values.len() + w.final_poly.len())
                + 4 * (1 + w.folding_pow_witnesses.len() + w.query_phase_pow_witnesses.len()),
        ),
    ];
    let fixed: usize = parts.iter().map(|p| p.1).sum();
    let ncom = w.initial_round_opened_rows.len();
    let widths: Vec<usize> = w.initial_round_opened_rows.iter().map(|c| c[0][0].len()).collect();
    let tw: usize = widths.iter().sum();
    let kexp = w.initial_round_opened_rows[0][0].len();
    let (q0, d0) = (w.initial_round_opened_rows[0].len(), w.initial_round_merkle_proofs[0][0].len());
    let mut raw = fixed + q0 * kexp * tw * 4 + q0 * d0 * 32 * ncom;
    let (l0, s0) = pruned(q0, d0);
    let mut small = fixed + l0 * kexp * tw * 4 + s0 * 32 * ncom;
    let (mut nodes, mut leaf_hashes, mut leaf_bytes) = (ncom * (s0 + l0), ncom * l0, l0 * kexp * tw * 4);
    let mut rounds = vec![(q0, d0)];
    for (a, p) in w.codeword_opened_values.iter().zip(&w.codeword_merkle_proofs) {
        let (q, d) = (a.len(), p[0].len());
        raw += q * kexp * 16 + q * d * 32;
        let (l, s) = pruned(q, d);
        small += l * kexp * 16 + s * 32;
        nodes += l + s;
        leaf_hashes += l;
        leaf_bytes += l * kexp * 16;
        rounds.push((q, d));
    }
    println!("SHAPE {what} airs={airs}/{} missing={missing:?} cols={cols} rotated={rot} openings={openings} cons={cons} inter={inter} msg={msg} add={adds} mul={muls} nodes={nodes_all} cells={:.3}M max_log_h={max_h} gkr_layers={layers} pvs={pvs}", vk.inner.per_air.len(), cells / 1e6);
    println!("  bytes raw={raw} pruned={small} {parts:?} whir rounds (queries, depth)={rounds:?} commits={ncom} widths={widths:?} final={}", w.final_poly.len());
    // gas, as the spike's main.rs and gas_model.py compute it, one hash per opened leaf
    let (mul, add) = (380f64, 60f64);
    let g_dag = muls as f64 * mul + adds as f64 * add + cons as f64 * (mul + add);
    let g_int = msg as f64 * (mul + add) + inter as f64 * 2.0 * (mul + add);
    let g_gkr = gkr_rounds as f64 * (6.0 * mul + 8.0 * add) + layers as f64 * (8.0 * mul + 6.0 * add);
    let g_batch = b.univariate_round_coeffs.len() as f64 * (mul + add)
        + b.sumcheck_round_polys.iter().map(Vec::len).sum::<usize>() as f64 * 2.0 * (mul + add)
        + f64::from(airs) * 30.0 * (mul + add);
    let g_stack = openings as f64 * 2.0 * (mul + add)
        + f64::from(airs) * 40.0 * mul
        + proof.stacking_proof.sumcheck_round_polys.len() as f64 * 4.0 * (mul + add)
        + tw as f64 * 3.0 * (mul + add);
    let fold = (kexp - 1) as f64 * (mul + 160.0 + 2.0 * add);
    let queries: usize = rounds.iter().map(|r| r.0).sum();
    let mut g_whir = l0 as f64 * ((kexp * tw) as f64 * 160.0 + fold + 3000.0);
    for a in &w.codeword_opened_values {
        g_whir += a.len() as f64 * (fold + 3000.0);
    }
    g_whir += (queries * w.final_poly.len()) as f64 * 160.0
        + queries as f64 * 14.0 * (mul + add)
        + w.final_poly.len() as f64 * (mul + add)
        + queries as f64 * 300.0;
    let g_hash = nodes as f64 * 172.0 + leaf_hashes as f64 * 172.0 + leaf_bytes as f64 * 0.4;
    let squeezes = gkr_rounds
        + layers
        + b.sumcheck_round_polys.len()
        + proof.stacking_proof.sumcheck_round_polys.len()
        + w.whir_sumcheck_polys.len() * 2
        + queries
        + 60;
    let g_fs = squeezes as f64 * 350.0 + openings as f64 * 32.0;
    let exec = g_dag + g_int + g_gkr + g_batch + g_stack + g_whir + g_hash + g_fs;
    let total = (small as f64 * 40.0).max(exec + small as f64 * 16.0) + 21000.0;
    println!("  GAS dag={:.2} inter={:.2} gkr={:.2} batch={:.2} stack={:.2} whir={:.2} hash={:.2} fs={:.2} exec={:.2}M calldata floor={:.2}M standard={:.2}M => total={:.2}M", g_dag / 1e6, g_int / 1e6, g_gkr / 1e6, g_batch / 1e6, g_stack / 1e6, g_whir / 1e6, g_hash / 1e6, g_fs / 1e6, exec / 1e6, small as f64 * 40.0 / 1e6, small as f64 * 16.0 / 1e6, total / 1e6);
    let s = SoundnessCalculator::calculate(
        &vk.inner.params,
        base_field_order(),
        challenge_field_bits(),
        5000,
        vk.inner.per_air.len(),
        vk.inner.params.max_constraint_degree,
        max_h.max(vk.inner.params.log_stacked_height()),
        cols,
        tw,
        layers.saturating_sub(vk.inner.params.l_skip).max(1),
    );
    println!("  SOUND {:.1} bits {s:?}", s.total_bits);
}

struct App {
    vk: Arc<MultiStarkVerifyingKey<Native>>,
    segments: Vec<Proof<Native>>,
    user: UserPublicValuesProof<DIGEST_SIZE, F>,
    identity: ([F; DIGEST_SIZE], [F; DIGEST_SIZE], F),
    system: SystemConfig,
}

fn app<VB>(args: &Args, elf: &str, builder: VB, config: VB::VmConfig, transpiler: Transpiler<F>, name: &str) -> App
where
    VB: VmBuilder<NativeEngine>,
    <VB::VmConfig as VmExecutionConfig<F>>::Executor:
        Executor<F> + MeteredExecutor<F> + PreflightExecutor<F, VB::RecordArena>,
{
    let params = args.params("app", [1, 4, 17, 2048, 5, 15, 0, 20, 4, 10, 3]);
    println!("PARAMS app {params:?}");
    let exe = Arc::new(VmExe::from_elf(Elf::decode(&fs::read(elf).unwrap(), 1 << 29).unwrap(), transpiler).unwrap());
    let system = config.as_ref().clone();
    let (vm, pk) =
        timed("app keygen", || VirtualMachine::new_with_keygen(NativeEngine::new(params), builder, config).unwrap());
    let names: Vec<String> = vm.air_names().map(str::to_string).collect();
    let vk = Arc::new(pk.get_vk());
    let cached_program = timed("app program commit", || vm.commit_program_on_device(&exe.program));
    let program_commit = cached_program.commitment;
    let pc = F::from_u32(exe.pc_start);
    let mut input = Vec::new();
    for key in ["n", "m", "h"] {
        input.extend(args.get(key, 0u32).to_le_bytes().map(F::from_u8));
    }
    let mut instance = VmInstance::new(vm, exe, cached_program).unwrap();
    let streams: Streams<F> = vec![input].into();
    let context = instance.vm.build_metered_ctx(instance.exe());
    let (segments, _) = instance
        .vm
        .metered_interpreter(&instance.exe().clone())
        .unwrap()
        .execute_metered(streams.clone(), context)
        .unwrap();
    println!("APP {name} instructions={:?}", segments.iter().map(|s| s.num_insns).collect::<Vec<_>>());
    let proof = timed("app prove", || instance.prove_continuations(streams, |_, _| {}).unwrap());
    shape("app", &proof.per_segment[0], &vk, &names, args.get("airs", 0) == 2);
    let root = {
        let values = &proof.per_segment[0].public_values[MERKLE_AIR_ID];
        values[..DIGEST_SIZE].try_into().unwrap()
    };
    App {
        vk,
        segments: proof.per_segment,
        user: proof.user_public_values,
        identity: (program_commit, root, pc),
        system,
    }
}

fn last_stage<E>(
    args: &Args,
    tag: &str,
    engine: fn(SystemParams) -> E,
    parts: &LastCircuit,
    layers: &Layers,
    app: &App,
    child: &Proof<Native>,
) where
    E: StarkEngine<
        SC = KeccakConfig,
        PB = openvm_cpu_backend::CpuBackend<KeccakConfig>,
        PD = openvm_cpu_backend::CpuDevice<KeccakConfig>,
    >,
{
    let params = args.params(tag, [4, 2, 18, 40, 18, 18, 1, 20, 4, 8, 4]);
    println!("PARAMS {tag} {params:?}");
    let last = timed("last keygen", || LastLayer::new(engine(params.clone()), parts.clone()));
    let proof = timed("last prove", || last.prove(child, &app.user).unwrap());
    shape(tag, &proof, last.vk(), &last.air_names(), args.get("airs", 0) > 0);
    println!("  encoded={} bytes", proof.encode_to_vec().unwrap().len());
    let identity = Identity::new(layers, &app.identity.0, &app.identity.1, app.identity.2, last.constraints_commit());
    let values = timed("last verify", || recursion::verify(&engine(params), last.vk(), &identity, &proof).unwrap());
    println!("  public values {values:?}");
}

fn short_stage<const ARITY: usize>(args: &Args, tag: &str, parts: ShortCircuit, app: &App, children: &[Proof<Native>]) {
    let params = args.params(tag, [4, 2, 18, 40, 18, 18, 1, 20, 4, 8, 4]);
    println!("PARAMS {tag} {params:?}");
    let last =
        timed("short keygen", || ShortLayer::<KeccakEngine, ARITY>::new(KeccakEngine::new(params.clone()), parts));
    let names: Vec<String> = last.pk().per_air.iter().map(|a| a.air_name.clone()).collect();
    let proof = timed("short prove", || last.prove(children, &app.user).unwrap());
    shape(tag, &proof, last.vk(), &names, args.get("airs", 0) > 0);
    println!("  encoded={} bytes", proof.encode_to_vec().unwrap().len());
    let identity = last.identity(&app.identity.0, &app.identity.1, app.identity.2);
    let values = timed("short verify", || {
        recursion::verify_short(&KeccakEngine::new(params), last.vk(), &identity, &proof).unwrap()
    });
    println!("  public values {values:?}");
}

fn main() {
    if let Ok(filter) = std::env::var("RUST_LOG") {
        tracing_subscriber::fmt().with_env_filter(filter).init();
    }
    let elf = std::env::args().nth(1).expect("ELF");
    let args =
        Args(std::env::args().skip(2).filter_map(|a| a.split_once('=').map(|(k, v)| (k.into(), v.into()))).collect());
    rayon::ThreadPoolBuilder::new().num_threads(args.get("threads", 2)).build_global().unwrap();
    let base = Transpiler::<F>::default()
        .with_extension(Rv32ITranspilerExtension)
        .with_extension(Rv32MTranspilerExtension)
        .with_extension(Rv32IoTranspilerExtension);
    let limit = args.get::<usize>("maxmem_mb", 60 << 10) << 20;
    let app = if args.get("chip", 0) == 1 {
        let mut config = Keccak256Rv32Config::default();
        config.system.segmentation_max_memory = limit;
        app(&args, &elf, Keccak256Rv32CpuBuilder, config, base.with_extension(Keccak256TranspilerExtension), "chip")
    } else {
        let mut config = Rv32ImConfig::default();
        config.rv32i.system.segmentation_max_memory = limit;
        app(&args, &elf, Rv32ImCpuBuilder, config, base, "rv32im")
    };
    if args.get("until", String::new()) == "app" {
        return;
    }
    let short = |child, child_vk: &Arc<MultiStarkVerifyingKey<Native>>| ShortCircuit {
        child,
        child_vk: child_vk.clone(),
        memory_dimensions: app.system.memory_config.memory_dimensions(),
        user_public_values: app.system.num_public_values,
    };
    if args.0.contains_key("short") {
        match app.segments.len() {
            1 => short_stage::<1>(&args, "short", short(ShortChild::Segments, &app.vk), &app, &app.segments),
            _ => short_stage::<4>(&args, "short", short(ShortChild::Segments, &app.vk), &app, &app.segments),
        }
        if args.get("until", String::new()) == "short" {
            return;
        }
    }
    let params = LayerParams {
        leaf: args.params("leaf", [2, 4, 17, 2048, 4, 13, 0, 20, 4, 10, 4]),
        internal: args.params("internal", [3, 2, 17, 512, 18, 20, 2, 20, 4, 10, 4]),
        recursive: args.params("recursive", [3, 2, 17, 512, 18, 20, 2, 20, 4, 10, 4]),
    };
    println!("PARAMS {params:?}");
    let keys = timed("layer keys (generated or loaded)", || layer_keys(&args, &app.vk, &params));
    let layers = timed("layers from keys", || Layers::from_keys(app.vk.clone(), keys));
    let leaves = timed("leaf layer", || layers.leaves(&app.segments).unwrap());
    let names = |pk: &MultiStarkProvingKey<Native>| pk.per_air.iter().map(|a| a.air_name.clone()).collect::<Vec<_>>();
    let k = layers.keys();
    shape("leaf", &leaves[0], &k.leaf.get_vk(), &names(&k.leaf), args.get("airs", 0) > 0);
    if args.0.contains_key("shortleaf") {
        let child = ShortChild::Leaves(layers.vk_commits()[0]);
        short_stage::<1>(&args, "shortleaf", short(child, &Arc::new(k.leaf.get_vk())), &app, &leaves);
    }
    if args.get("until", String::new()) == "leaf" {
        return;
    }
    let internal = timed("internal layer", || layers.internal(&leaves).unwrap());
    shape("internal", &internal[0], &k.internal.get_vk(), &names(&k.internal), args.get("airs", 0) > 0);
    let child = timed("recursive layer", || layers.reduce(internal).unwrap());
    shape("recursive", &child, &layers.vk(), &names(&k.recursive), args.get("airs", 0) > 0);
    let parts = LastCircuit::new(&layers, app.system.memory_config.memory_dimensions(), app.system.num_public_values);
    for tag in ["last", "last2", "last3"] {
        if tag == "last" || args.0.contains_key(tag) {
            last_stage(&args, tag, KeccakEngine::new, &parts, &layers, &app, &child);
        }
    }
}
