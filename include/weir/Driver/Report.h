//===- Report.h - What steering costs, site by site ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DRIVER_REPORT_H
#define WEIR_DRIVER_REPORT_H

#include "weir/Dialect/Steer/IR/Steer.h"

#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

#include <optional>
#include <string>
#include <vector>

namespace weir {

/// One patched site.
struct SiteReport {
  std::string name;                  ///< "12/res"
  std::vector<std::string> policies; ///< "more_faith (spec.yaml:21)"
  std::vector<std::string> reads;    ///< "2 features of sae.res.12"
  std::vector<std::string> writes;
  int64_t operationsPerToken = 0; ///< floating-point operations
  int64_t bytesPerToken = 0;      ///< weights read, f32
};

/// The features that a policy's selectors chose.
struct PolicyReport {
  static constexpr int64_t mostNamed = 64;
  std::string name;
  std::vector<std::string> features; ///< "12/res/411", at most mostNamed
  std::vector<std::string> labels;   ///< what a spec calls them, or empty
  int64_t count = 0;                 ///< of all of them
};

/// How large an addition is beside the values that it is added to, at one site.
struct DoseReport {
  static constexpr size_t mostNamed = 64; ///< of a policy
  std::string policy;
  std::string site;  ///< "12/res"
  double median = 0; ///< median norm of the site's values on the text
  /// |s d| / median, at the knob's default and at the largest of its range (the
  /// same where the policy has no knob).
  double dose = 0, most = 0;
  std::optional<double> collapse; ///< the dose above which text falls apart
};

struct SteeringReport {
  std::vector<SiteReport> sites;
  std::vector<DoseReport> doses; ///< empty where nothing was measured
  std::string doseText;          ///< the texts that they were measured on
  std::vector<PolicyReport> policies; ///< those that are in plans
  /// What the model itself reads and computes for one token: all weights that
  /// products use, once (embeddings are looked up, a row a token).
  int64_t modelBytesPerToken = 0;
  int64_t modelOperationsPerToken = 0;
  std::vector<std::string> notes; ///< such as a TopK dictionary's whole encoder

  int64_t bytesPerToken() const;
  int64_t operationsPerToken() const;
};

/// Collects the report from merged patches, before they are lowered.
SteeringReport collectReport(mlir::ModuleOp module);

/// A number of the process or the run that the report shows at its end.
struct Measure {
  std::string name, value;
};

void printMarkdown(const SteeringReport &report, llvm::ArrayRef<Measure> measures,
                   llvm::raw_ostream &os);
llvm::json::Value toJSON(const SteeringReport &report);

} // namespace weir

#endif // WEIR_DRIVER_REPORT_H
