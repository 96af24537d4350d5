// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [.treatAllWarnings(as: .error)]

// The handlers of the interpreter are a few instructions each. Those that differ only in a width or
// an operation are otherwise merged to one that calls the difference through a pointer, each makes a
// frame, and the small ones are inlined into C thunks, where the host's arithmetic stays a call.
let separateHandlers: [SwiftSetting] = [
  .unsafeFlags([
    "-Xllvm", "-swiftmergefunc-threshold=0", "-Xllvm", "-sil-inline-trivial-function-threshold=0",
    "-Xcc", "-fomit-frame-pointer",
  ])
]

// Half of what a small program costs would be relocations, and names that nobody looks up: packed,
// and left out.
let compactLink: [LinkerSetting] = [
  .unsafeFlags(
    ["-use-ld=lld"]
      + [
        "-z", "pack-relative-relocs", "-z", "nostart-stop-gc", "--icf=safe", "--no-export-dynamic",
      ]
      .flatMap { ["-Xlinker", $0] }, .when(configuration: .release))
]

// The demo desktop's C runs in a machine of its own: without a library, without the host's
// sanitizers, and without constants that the compiler would put elsewhere than where it is told.
let guestCode: [CSetting] = [
  .unsafeFlags([
    "-O2", "-ffreestanding", "-fno-builtin", "-fno-jump-tables", "-mgeneral-regs-only",
    "-fno-stack-protector", "-fno-sanitize=all", "-Wall",
  ])
]

let package = Package(
  name: "porthole",
  products: [
    .executable(name: "porthole", targets: ["Appliance"])
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0")
  ],
  targets: [
    // C: what Swift can't import.
    .target(name: "CKVM"),
    .target(
      name: "CVNC", linkerSettings: [.linkedLibrary("vncserver"), .linkedLibrary("z")]),
    .target(name: "CPNG", linkerSettings: ["png16", "z"].map { .linkedLibrary($0) }),
    .target(
      name: "CUnpack",
      linkerSettings: ["z", "lzma", "zstd", "lz4", "bz2"].map { .linkedLibrary($0) }),
    // libyaml from its archive: one library fewer to load at every start.
    .target(name: "CYAML", linkerSettings: [.linkedLibrary(":libyaml.a")]),
    // nettle, in the same way.
    .target(name: "CDigest", linkerSettings: [.linkedLibrary(":libnettle.a")]),
    .target(name: "CStorage"),
    .target(name: "CProcess"),
    // Guest code: 16-bit firmware and test guests, assembled into read-only sections.
    .target(name: "BIOS", path: "bios", exclude: ["fonts"]),
    .target(
      name: "Guests", path: "Guests", exclude: ["demo/make-fonts.py", "demo/LICENSE-OFL"],
      cSettings: guestCode),
    // Swift; imports point downwards in this list only.
    .target(name: "KVMEngine", dependencies: ["CKVM"], swiftSettings: strict),
    .target(name: "CInterpreter"),
    .target(
      name: "Interpreter", dependencies: ["CKVM", "CInterpreter", "KVMEngine"],
      swiftSettings: strict + separateHandlers),
    .target(
      name: "Storage", dependencies: ["CStorage", "CUnpack", "KVMEngine"], swiftSettings: strict),
    .target(name: "Display", dependencies: ["KVMEngine", "CVNC", "CPNG"], swiftSettings: strict),
    .target(name: "Input", dependencies: ["KVMEngine"], swiftSettings: strict),
    .target(
      name: "Machine",
      dependencies: [
        "CKVM", "CUnpack", "KVMEngine", "Interpreter", "Storage", "Display", "Input", "BIOS",
      ],
      swiftSettings: strict),
    .target(name: "Configuration", dependencies: ["CYAML"], swiftSettings: strict),
    .executableTarget(
      name: "Appliance",
      dependencies: [
        "CDigest", "CProcess", "CStorage", "Machine", "Guests", "Configuration",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: strict, linkerSettings: compactLink),
    .executableTarget(
      name: "Watcher", path: "Benchmarks/Watcher", linkerSettings: [.linkedLibrary("m")]),
    .executableTarget(
      name: "ExitBenchmark", dependencies: ["CKVM", "KVMEngine", "Interpreter"],
      path: "Benchmarks/ExitBenchmark", swiftSettings: strict),
    // Fuzzing: random and hostile instructions for the software processor.
    .target(name: "CNative", path: "Fuzz/CNative"),
    .target(
      name: "ProcessorFuzzing", dependencies: ["CNative", "Interpreter", "KVMEngine"],
      path: "Fuzz/ProcessorFuzzing", swiftSettings: strict),
    .executableTarget(
      name: "CPUFuzz", dependencies: ["ProcessorFuzzing"], path: "Fuzz/CPUFuzz",
      swiftSettings: strict),
    .target(
      name: "DeviceFuzzing", dependencies: ["KVMEngine", "Machine", "Storage"],
      path: "Fuzz/DeviceFuzzing", swiftSettings: strict),
    .target(
      name: "ImageFuzzing", dependencies: ["Storage"], path: "Fuzz/ImageFuzzing",
      swiftSettings: strict),
    // Tests.
    .target(
      name: "DeviceTestKit", dependencies: ["KVMEngine"], path: "Tests/DeviceTestKit",
      swiftSettings: strict),
    .target(
      name: "CVNCClient", path: "Tests/CVNCClient", linkerSettings: [.linkedLibrary("vncclient")]),
    .testTarget(
      name: "KVMEngineTests", dependencies: ["KVMEngine", "DeviceTestKit"], swiftSettings: strict),
    .testTarget(
      name: "InterpreterTests",
      dependencies: ["Interpreter", "CInterpreter", "KVMEngine", "DeviceTestKit"],
      swiftSettings: strict),
    .testTarget(
      name: "ProcessorFuzzingTests", dependencies: ["ProcessorFuzzing", "KVMEngine"],
      swiftSettings: strict),
    .testTarget(
      name: "DeviceFuzzingTests", dependencies: ["DeviceFuzzing", "DeviceTestKit"],
      swiftSettings: strict),
    .testTarget(
      name: "ImageFuzzingTests", dependencies: ["ImageFuzzing", "Storage", "DeviceTestKit"],
      swiftSettings: strict),
    .testTarget(
      name: "StorageTests", dependencies: ["Storage", "DeviceTestKit"], swiftSettings: strict),
    .testTarget(
      name: "DisplayTests", dependencies: ["Display", "DeviceTestKit", "CVNCClient"],
      swiftSettings: strict),
    .testTarget(
      name: "InputTests", dependencies: ["Input", "DeviceTestKit"], swiftSettings: strict),
    .testTarget(
      name: "MachineTests", dependencies: ["Machine", "BIOS", "DeviceTestKit"],
      swiftSettings: strict),
    .testTarget(
      name: "GuestTests", dependencies: ["Machine", "Guests", "DeviceTestKit"],
      exclude: ["Golden"], swiftSettings: strict),
    .testTarget(
      name: "ConfigurationTests", dependencies: ["Configuration"], swiftSettings: strict),
    .testTarget(
      name: "ApplianceTests", dependencies: ["Appliance", "Machine", "Display"],
      swiftSettings: strict),
  ]
)
