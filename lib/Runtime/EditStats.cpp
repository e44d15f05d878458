//===- EditStats.cpp - How many tokens were edited ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Runtime/EditStats.h"

#include "Support.h"

#include "weir/Support/Files.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"

using namespace llvm;

namespace weir {

static std::string siteOf(const Manifest::Count &count) {
  return std::to_string(count.layer) + "/" + count.site;
}

Error EditStats::check(const Manifest &manifest) {
  if (!manifest.counts.empty())
    return Error::success();
  if (none_of(manifest.policies,
              [](const Manifest::Policy &policy) { return policy.edits; }) &&
      (manifest.plans.empty() || !manifest.policies.empty()))
    return fail("the program edits nothing: no plan has a policy that does");
  return fail("the program does not say which tokens it edits: build it with "
              "`weirc build --stats`");
}

void EditStats::add(int64_t plan, int64_t tokens, EditedTokens edited) {
  rows.push_back({plan, tokens, std::move(edited)});
}

void EditStats::print(raw_ostream &os) const {
  int64_t tokens = 0;
  for (const Row &row : rows)
    tokens += row.tokens;
  size_t width = 6;
  for (const Manifest::Policy &policy : manifest.policies)
    width = std::max(width, policy.name.size());
  os << "edited, of " << tokens << " tokens:\n"
     << left_justify("policy", width) << "  site      tokens\n";
  for (auto [index, count] : enumerate(manifest.counts))
    for (auto [column, policy] : enumerate(count.policies)) {
      int64_t edited = 0;
      for (const Row &row : rows)
        edited += row.edited[index][column];
      os << left_justify(policy, width) << "  " << left_justify(siteOf(count), 8)
         << format("%8lld\n", static_cast<long long>(edited));
    }
}

json::Value EditStats::toJSON() const {
  json::Array seen, list;
  for (const Row &row : rows)
    seen.push_back(row.tokens);
  for (auto [index, count] : enumerate(manifest.counts))
    for (auto [column, policy] : enumerate(count.policies)) {
      json::Array ofRows;
      int64_t edited = 0;
      for (const Row &row : rows) {
        ofRows.push_back(row.edited[index][column]);
        edited += row.edited[index][column];
      }
      list.push_back(json::Object{{"policy", policy},
                                  {"site", siteOf(count)},
                                  {"tokens", edited},
                                  {"rows", std::move(ofRows)}});
    }
  return json::Object{{"tokens", std::move(seen)}, {"edited", std::move(list)}};
}

Error EditStats::assertSteered() const {
  std::vector<std::string> idle;
  bool any = false;
  for (auto [index, row] : enumerate(rows)) {
    if (!manifest.planEdits(row.plan))
      continue;
    any = true;
    int64_t edited = 0;
    for (const std::vector<int64_t> &policies : row.edited)
      for (int64_t tokens : policies)
        edited += tokens;
    if (edited == 0)
      idle.push_back(formatv("row {0}: the plan '{1}' edited none of {2} tokens",
                             index, manifest.plans[row.plan], row.tokens)
                         .str());
  }
  if (!any)
    return fail("nothing is steered: no row follows a plan that edits");
  if (idle.empty())
    return Error::success();
  return fail("not steered: {0}", join(idle, "; "));
}

} // namespace weir
