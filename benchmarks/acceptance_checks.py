"""What is known of strategies without data, and the tests that hold it: the table that `acceptance.py` runs."""

from __future__ import annotations

from typing import NamedTuple


class Check(NamedTuple):
    """What is held, the tests that hold it (file and name, every parametrisation of it), and of which strategies."""

    what: str
    tests: tuple[str, ...]
    strategies: tuple[str, ...] = ()


CHECKS = (
    Check(
        "136 of 256 one-block cells, 300 second blocks, 1,160 trainings of PNAS",
        (
            "test_pnas::test_one_block_cells_are_256_of_which_136_differ_and_a_second_block_can_be_one_of_300",
            "test_block_cells::test_unordered_second_blocks_are_300",
            "test_pnas::test_1160_cells_are_trained_and_no_two_of_them_compute_the_same",
        ),
        ("pnas",),
    ),
    Check(
        "NASNet has 5.566e14 cells and 50 decisions; ENAS has 78, and 2 x 20 decisions",
        (
            "test_block_cells::test_the_spaces_have_as_many_cells_as_published",
            "test_block_cells::test_the_nasnet_controller_makes_fifty_decisions_and_enas_twenty_per_cell",
            "test_enas_spaces::test_the_macro_space_has_78_decisions_and_its_published_size",
        ),
        ("ppo",),
    ),
    Check(
        "ENAS's controllers have 41,856, 41,733 and 41,344 parameters",
        ("test_enas::test_controllers_have_the_published_number_of_parameters",),
    ),
    Check(
        "Hyperband 4..108, eta 3: (27,9,3,1) (9,3,1) (6,2) (4), 1,620 epochs",
        (
            "test_halving::test_hyperband_brackets_of_nasbench101_are_the_published_ones",
            "test_halving::test_one_round_of_hyperband_asks_for_exactly_its_brackets",
        ),
        (
            "hyperband",
            "successive-halving",
        ),
    ),
    Check(
        "Hyperband as in the paper: ceilings, (27,9,3,1) (12,4,1) (6,2) (4)",
        ("test_halving::test_brackets_of_the_paper_start_the_ceiling",),
    ),
    Check(
        "ASHA with `slack` = 1 promotes at most floor(n / eta) + 1, in any order of finishing",
        ("test_halving::test_asha_never_promotes_more_than_one_beyond_its_share",),
        ("asha",),
    ),
    Check(
        "BOHB's model switches on after 2(d + 1) trainings of one length",
        ("test_bohb::test_model_switches_on_after_two_d_plus_two_trainings_of_one_length",),
    ),
    Check(
        "recorded learning curves: resuming is charged the increment only",
        (
            "test_learning_curve::test_multi_fidelity_search_on_recorded_curves_pays_for_increments_only",
            "test_recorded_curves::test_a_continued_training_is_charged_the_increment_alone",
            "test_recorded_curves::test_a_continued_training_goes_on_along_its_own_recorded_curve",
        ),
    ),
    Check(
        "EI, PI and LCB agree with numerical integration",
        ("test_model_based::test_closed_forms_agree_with_numerical_integration",),
    ),
    Check(
        "the Hamming kernel is positive definite",
        ("test_model_based::test_hamming_kernel_is_positive_definite_and_its_gradient_is_right",),
    ),
    Check(
        "TPE with hyperopt's split takes 2, 3, 5 and 25 of 20, 100, 400 and 10,000 trials",
        ("test_optuna_adapter::test_tpe_of_hyperopt_splits_off_a_quarter_of_the_root",),
        ("optuna:tpe",),
    ),
    Check(
        "REINFORCE: gradients by finite differences, tabular and LSTM",
        (
            "test_reinforce::test_score_is_the_gradient_of_the_log_probability",
            "test_reinforce::test_every_row_of_a_score_sums_to_zero_and_inactive_rows_are_zero",
            "test_controlled::test_gradient_of_the_log_probability_agrees_with_finite_differences",
        ),
        (
            "reinforce",
            "lstm-reinforce",
        ),
    ),
    Check(
        "anchor points: their formula, finite differences, recomputed probabilities, constant rewards, a bandit",
        (
            "test_anchors::test_skips_follow_the_formula_of_the_anchors",
            "test_anchors::test_gradient_of_the_log_probability_agrees_with_finite_differences",
            "test_anchors::test_sampled_log_probability_is_that_of_the_stored_sequence",
            "test_anchors::test_constant_reward_moves_nothing",
            "test_anchors::test_bandit_of_skips_is_solved",
        ),
    ),
    Check(
        "REINFORCE: a constant reward moves nothing in expectation",
        (
            "test_reinforce::test_expected_update_under_a_constant_reward_is_zero",
            "test_controlled::test_constant_reward_moves_nothing",
        ),
    ),
    Check(
        "REINFORCE and PPO solve a bandit whose arms differ by 0.1",
        (
            "test_reinforce::test_two_armed_bandit_converges_to_the_better_arm",
            "test_controlled::test_bandit_is_solved",
        ),
    ),
    Check(
        "PPO's ratio is 1 in the first pass",
        ("test_controlled::test_first_pass_of_ppo_has_ratio_one_and_the_gradient_of_reinforce",),
        ("ppo",),
    ),
    Check(
        "regularized evolution: every member lives for P births",
        ("test_evolution::test_population_is_full_after_the_designs_and_every_member_lives_as_many_births",),
        (
            "regularized-evolution",
            "non-aging-evolution",
        ),
    ),
    Check(
        "OneMax of 100 bits after 1,000 models: evolution in [0.85, 0.95], random below 0.70",
        ("test_evolution::test_onemax_of_the_paper_is_climbed_by_evolution_and_not_by_random_search",),
    ),
    Check(
        "synflow ignores the data and scales with a layer",
        (
            "test_zero_cost::test_synflow_ignores_data_and_signs_and_leaves_the_network_as_it_was",
            "test_zero_cost::test_scaling_one_layer_scales_synflow_alike",
        ),
    ),
    Check(
        "snip is the gradient of a mask; NWOT's diagonal counts the rectified units",
        (
            "test_zero_cost::test_snip_is_the_sensitivity_to_a_mask_on_every_weight",
            "test_zero_cost::test_diagonal_of_the_code_kernel_counts_the_rectified_units",
        ),
    ),
    # Ask/tell strategies beside those above.
    Check(
        "random search without replacement: each permutation alike, hit rates by the formula",
        (
            "test_random::test_without_replacement_draws_each_permutation_alike",
            "test_random::test_hit_rate_of_the_top_fraction_is_the_formula",
        ),
        ("random",),
    ),
    Check("a grid is the product of all arities", ("test_grid::test_grid_is_the_product_of_all_arities",), ("grid",)),
    Check(
        "local search takes the best of all neighbours after all were measured, and ends with a small space",
        (
            "test_local::test_best_of_all_neighbours_is_taken_only_after_all_were_measured",
            "test_local::test_small_space_is_exhausted_and_then_ended",
        ),
        ("local-search",),
    ),
    Check(
        "hierarchical evolution: six motifs on four nodes; the paper's chain of identities; nobody leaves",
        (
            "test_hierarchical::test_the_space_has_six_motifs_on_four_nodes_and_a_cell_on_five",
            "test_hierarchical::test_the_chain_of_identities_is_written_by_its_paper",
            "test_hierarchical::test_first_members_are_strongly_mutated_chains_and_nobody_leaves",
        ),
        ("hierarchical-evolution",),
    ),
    Check(
        "NSGA-II: tournaments by rank with their probabilities, fronts kept whole but the last",
        (
            "test_nsga2::test_a_member_of_rank_r_wins_a_binary_tournament_with_its_probability",
            "test_nsga2::test_a_front_is_kept_whole_unless_it_is_the_last_that_fits",
            "test_nsga2::test_genes_of_children_have_the_frequencies_of_crossover_and_mutation",
        ),
        ("nsga2",),
    ),
    Check(
        "DEHB comes as near as the released code over 20 seeds, and nearer than Hyperband",
        ("test_dehb::test_evolution_comes_as_near_as_the_released_code_and_nearer_than_hyperband",),
        ("dehb",),
    ),
    Check(
        "PBT explores as Ray Tune's, draw by draw; reaches 1.19 in the paper's example, a grid 0.39",
        (
            "test_pbt::test_settings_are_explored_as_by_ray_tune_from_the_same_random_numbers",
            "test_pbt::test_a_fifth_of_those_that_have_come_back_is_worst_and_a_fifth_best",
            "test_pbt::test_a_population_reaches_what_no_constant_setting_of_one_hyper_parameter_does",
        ),
        ("pbt",),
    ),
    Check(
        "PB2's kernel is Ray Tune's, its bounds those of a process by hand; it solves the example of PBT",
        (
            "test_pb2::test_the_kernel_forgets_as_that_of_the_paper",
            "test_pb2::test_bounds_are_those_of_a_process_by_hand_and_lower_where_one_is_under_way",
            "test_pb2::test_it_solves_the_example_of_the_first_paper",
        ),
        ("pb2",),
    ),
    Check(
        "BOHB's densities are statsmodels'",
        ("test_bohb::test_density_agrees_with_statsmodels",),
        ("bohb",),
    ),
    Check(
        "PriorBand's shares of prior and incumbent; piBO's power that falls with every result",
        (
            "test_priors::test_priorband_goes_to_the_incumbent_where_it_beats_what_was_believed",
            "test_priors::test_pibo_weighs_improvement_by_ever_less_of_the_prior",
            "test_priors::test_densities_integrate_to_one_and_count_relative_to_uniform",
        ),
        ("priorband", "pibo"),
    ),
    Check(
        "median stopping by hand",
        ("test_scheduled::test_median_stopping_compares_the_best_of_one_with_the_averages_of_others",),
        ("median-stopping",),
    ),
    Check(
        "the Gaussian process is scikit-learn's, trees are scikit-learn's where no two splits are equal",
        (
            "test_model_based::test_the_process_is_that_of_scikit_learn",
            "test_model_based::test_a_tree_without_ties_is_that_of_scikit_learn",
            "test_model_based::test_a_forest_draws_the_bootstraps_of_scikit_learn",
        ),
        ("gp", "forest"),
    ),
    Check(
        "BANANAS: gradients of the ensemble by finite differences",
        ("test_model_based::test_gradient_of_the_ensemble_is_right",),
        ("bananas",),
    ),
    Check(
        "NAS-BOWL: counts multiply to the Weisfeiler-Lehman kernel, the process is scikit-learn's with it",
        (
            "test_graph_process::test_counts_multiply_to_the_weisfeiler_lehman_kernel",
            "test_graph_process::test_the_process_is_the_library_s_with_the_same_kernel_of_the_likeliest_height",
        ),
        ("nas-bowl",),
    ),
    Check(
        "NASBOT's distance is the optimum of the paper's linear programme",
        ("test_transport::test_the_distance_is_the_optimum_of_the_papers_linear_programme",),
        ("nasbot",),
    ),
    Check(
        "Auto-Keras: distances and kernel of the released code; edits and matchings by brute force; better than draws",
        (
            "test_auto_keras::test_distances_and_kernel_are_those_of_the_released_code",
            "test_auto_keras::test_distances_are_the_least_of_all_alignments_and_matchings",
            "test_auto_keras::test_they_are_pseudo_metrics_and_their_embedding_has_a_positive_definite_kernel",
            "test_auto_keras::test_it_finds_better_cells_than_random_draws",
        ),
        ("auto-keras",),
    ),
    Check(
        "TuRBO: the box grows and shrinks by its counts, and keeps its volume",
        (
            "test_turbo::test_the_box_grows_with_successes_on_end_and_shrinks_with_failures",
            "test_turbo::test_the_box_is_longer_where_the_function_is_smoother_and_keeps_its_volume",
        ),
        ("turbo",),
    ),
    Check(
        "LaNAS: ridge regressions at the nodes, confidence bounds counted in the own parent",
        (
            "test_lanas::test_the_model_of_a_node_is_a_ridge_regression_whose_constant_is_free",
            "test_lanas::test_the_bound_of_a_half_counts_what_its_own_parent_has",
        ),
        ("lanas",),
    ),
    Check(
        "MnasNet-A1 and MobileNetV2 have their published sizes",
        (
            "test_mnasnet::test_mnasnet_a1_has_the_published_size",
            "test_mnasnet::test_mobilenet_v2_is_the_space_without_choices_made",
        ),
        ("mnasnet",),
    ),
    Check(
        "randomly wired networks have the reference's sizes, a generator is judged by its mean draw",
        (
            "test_randwire::test_sizes_agree_with_the_reference_within_standard_errors_of_the_difference",
            "test_randwire::test_one_lucky_draw_does_not_make_a_generator",
        ),
        ("generator", "generator-grid"),
    ),
    Check(
        "multi-objective ASHA: fronts are layers of what nothing left dominates, the last one kept by crowding",
        (
            "test_objectives::test_fronts_are_layers_of_what_nothing_left_dominates",
            "test_objectives::test_whole_fronts_are_kept_and_the_last_one_by_crowding",
        ),
        ("multi-objective-asha",),
    ),
    Check(
        "predicted stopping: the probability is that of a Student distribution",
        ("test_predicted_stopping::test_the_probability_of_becoming_the_best_is_that_of_a_student_distribution",),
        ("predicted-stopping",),
    ),
    Check(
        "warm starts: recorded values stand for designs; proxies' mean ranks count ever less",
        (
            "test_warm::test_recorded_values_stand_for_initial_designs",
            "test_zero_cost_prior::test_belief_is_one_minus_the_mean_rank_and_the_middle_for_what_is_unknown",
            "test_zero_cost_prior::test_ranks_count_ever_less",
        ),
        ("warm-start", "zero-cost-prior"),
    ),
    Check(
        "a scheduler with random designs is the scheduler itself, draw by draw",
        ("test_scheduled::test_random_designs_under_a_scheduler_are_the_scheduler_itself",),
        ("scheduled",),
    ),
    Check(
        "NSGA-Net: points of its space, networks that compute their graphs, phases drawn as often as they were kept",
        (
            "test_phases::test_the_space_has_the_paper_s_number_of_points",
            "test_phases::test_a_phase_computes_its_graph",
            "test_phases::test_phases_follow_each_other_as_often_as_in_what_is_kept",
        ),
        ("nsga-net",),
    ),
    Check(
        "RENAS: the update is the policy gradient at the parameters that drew, rewards rise as the tangent",
        (
            "test_renas::test_an_update_is_the_policy_gradient_at_the_parameters_that_drew",
            "test_renas::test_rewards_rise_as_the_tangent_of_the_accuracy",
        ),
        ("renas",),
    ),
    # Differentiable search.
    Check(
        "logits' gradients of DARTS, GDAS, SNAS, ProxylessNAS and others, recorded in float64",
        (
            "test_published_gradients::test_logits_gradients_are_those_of_the_equations",
            "test_published_gradients::test_undrawn_operations_change_nothing_going_forward_but_the_logits_gradient",
            "test_published_gradients::test_the_released_gate_skips_an_edge_whose_active_operation_is_a_zero",
        ),
        ("darts", "gdas", "snas", "proxyless", "nasp"),
    ),
    Check(
        "DARTS's second order: exact on a quadratic, and that of a supernet",
        (
            "test_differentiable_gradients::test_second_order_of_a_quadratic_is_exact",
            "test_differentiable_gradients::test_second_order_of_a_supernet_agrees_with_the_exact_gradient",
        ),
        ("darts-second-order",),
    ),
    Check(
        "ProxylessNAS's score function follows the reward of sampled paths",
        ("test_differentiable_gradients::test_the_score_function_follows_the_reward_of_sampled_paths",),
        ("proxyless-reinforce",),
    ),
    Check(
        "supernets and networks of the DARTS space have their published numbers of weights",
        (
            "test_darts_networks::test_supernets_have_the_published_sizes",
            "test_darts_networks::test_evaluation_networks_for_cifar_have_the_published_sizes",
        ),
        ("darts",),
    ),
    Check(
        "DARTS-PRIME: corners of its grid, proximity and the released ADMM by hand",
        (
            "test_differentiable_grid::test_the_corners_of_the_grid_are_the_papers",
            "test_differentiable_regularisers::test_proximity_is_the_distance_to_what_would_be_derived_growing_with_progress",
            "test_differentiable_regularisers::test_the_released_admm_takes_the_norm_where_the_paper_squares_it",
        ),
        ("darts-cs", "darts-fimt", "darts-pr", "darts-admm", "darts-prime", "darts-grid"),
    ),
    Check(
        "DARTS+: two skips, or ten epochs of the same ranking",
        (
            "test_differentiable_stopping::test_the_skip_rule_counts_the_derived_normal_cell_only",
            "test_differentiable_stopping::test_the_rank_rule_stops_after_ten_epochs_of_the_same_ranking",
        ),
        ("darts-plus", "darts-plus-rank"),
    ),
    Check(
        "DARTS-ES and -ADA: the exact eigenvalue, the published rule",
        (
            "test_differentiable_stopping::test_the_curvature_is_the_largest_eigenvalue_of_the_hessian_in_double_precision",
            "test_differentiable_stopping::test_the_eigenvalue_rule_decides_as_published",
            "test_differentiable_stopping::test_ada_returns_with_ten_times_the_decay_at_most_twice",
        ),
        ("darts-es", "darts-ada"),
    ),
    Check(
        "R-DARTS: dropped paths that rise, the paper's decay",
        (
            "test_dropped_paths::test_the_probability_rises_from_nothing_to_its_last_value",
            "test_dropped_paths::test_it_is_second_order_with_the_papers_decay_and_is_skipped_where_it_cannot_run",
        ),
        ("r-darts-l2", "r-darts-dp"),
    ),
    Check(
        "P-DARTS: eight, five, three operations, and the edges that the released code derives",
        (
            "test_differentiable_pruning::test_stages_shrink_every_edge_from_eight_to_five_three_and_one",
            "test_progressive_darts::test_progressive_darts_hands_over_what_the_released_code_derives",
        ),
        ("p-darts", "pd-darts"),
    ),
    Check(
        "FairDARTS's zero-one loss at three weights; DARTS-'s skip that fades",
        (
            "test_differentiable_regularisers::test_zero_one_losses_of_three_weights",
            "test_differentiable_pruning::test_the_auxiliary_skip_fades_and_skip_dropout_falls_as_published",
        ),
        ("fair-darts", "darts-minus"),
    ),
    Check(
        "PC-DARTS: channels shuffled in groups, edges weighed by a softmax over a node's inputs",
        (
            "test_differentiable_pruning::test_channels_are_shuffled_in_groups",
            "test_differentiable_pruning::test_edge_weights_are_a_softmax_over_the_inputs_of_each_node",
        ),
        ("pc-darts",),
    ),
    Check(
        "beta decay, Dirichlet draws, smoothing, the worst corner, perturbation",
        (
            "test_differentiable_robust::test_beta_decay_pulls_each_logit_by_its_own_softmax_more_from_epoch_to_epoch",
            "test_differentiable_robust::test_dirichlet_draws_and_gradients_are_those_of_the_library",
            "test_differentiable_robust::test_an_adversary_finds_the_worst_corner_of_its_box",
            "test_differentiable_robust::test_smoothing_moves_the_weights_turn_only_ever_farther",
            "test_differentiable_robust::test_the_operation_is_kept_that_the_supernet_misses_most",
            "test_differentiable_robust::test_cells_of_darts_keep_two_edges_of_every_node_by_perturbation",
            "test_differentiable_widening::test_weights_logits_and_their_optimiser_go_on_in_a_wider_supernet",
        ),
        ("beta-darts", "drnas", "drnas-progressive", "sdarts-rs", "sdarts-adv", "darts-pt"),
    ),
    Check(
        "XNAS: growth and wipeout of Algorithm 1; ASAP: temperatures and thresholds",
        (
            "test_differentiable_experts::test_experts_grow_and_are_wiped_out_as_in_the_published_algorithm",
            "test_differentiable_experts::test_the_temperature_is_that_of_the_paper_in_fifty_epochs",
            "test_differentiable_experts::test_operations_leave_that_weigh_less_than_a_share_of_the_even_weight",
        ),
        ("xnas", "asap"),
    ),
    Check(
        "MANAS: EXP3's credit is unbiased; least squares and Zipf's law",
        (
            "test_differentiable_experts::test_credit_of_a_bandit_is_the_loss_over_the_probability_and_unbiased",
            "test_differentiable_experts::test_least_squares_share_a_linear_loss_out_among_the_operations",
            "test_differentiable_experts::test_draws_by_rank_follow_zipfs_law",
        ),
        ("manas", "manas-ls"),
    ),
    Check(
        "SETN's finalists follow the logits; StacNAS's groups are the released ones",
        (
            "test_differentiable_experts::test_finalists_are_drawn_by_their_probabilities_and_the_most_accurate_wins",
            "test_differentiable_experts::test_the_second_search_is_over_the_groups_that_won_the_first",
        ),
        ("setn", "stacnas"),
    ),
    Check(
        "Shapley-NAS: marginals over all orders are Shapley's formula",
        ("test_differentiable_experts::test_marginals_over_all_orders_are_the_shapley_values",),
        ("shapley-nas",),
    ),
    Check(
        "OLES compares gradients as the paper and as its code do",
        (
            "test_differentiable_halting::test_gradients_are_compared_as_wholes",
            "test_differentiable_halting::test_accumulated_gradients_are_compared_as_in_the_released_code",
            "test_recorded_gradients::test_oles_compares_the_gradients_of_either_player_as_released",
        ),
        ("oles",),
    ),
    Check(
        "losses and gradients of GDAS's, SETN's, NASP's, SNAS's and DARTS-'s own programs, to 1e-12",
        (
            "test_recorded_gradients::test_gdas_as_released_for_nasbench201",
            "test_recorded_gradients::test_setn_moves_its_logits_through_all_operations",
            "test_recorded_gradients::test_nasp_takes_its_gradient_at_a_proximal_step",
            "test_recorded_gradients::test_snas_draws_from_the_concrete_distribution",
            "test_recorded_gradients::test_darts_minus_adds_a_skip_to_every_edge",
        ),
        ("gdas", "setn", "nasp", "snas", "darts-minus"),
    ),
    Check(
        "P-DARTS through all three stages: the genotypes of its authors' program",
        ("test_progressive_darts::test_all_three_stages_end_in_the_genotypes_of_the_authors_program",),
        ("p-darts",),
    ),
    Check(
        "FBNet-B and -C have their released sizes",
        ("test_chain_spaces::test_fbnets_have_the_released_sizes",),
        ("fbnet",),
    ),
    Check(
        "once-for-all: 2.2e19 networks, transformed kernels, sorted channels, the released phases, its loss",
        (
            "test_elastic::test_the_spaces_have_as_many_points_as_published",
            "test_elastic::test_a_kernel_is_made_of_the_middle_of_the_next_larger_one_by_its_matrix",
            "test_elastic::test_sorting_channels_leaves_the_widest_block_as_it_is_and_puts_the_best_read_first",
            "test_elastic::test_shrinking_opens_kernels_then_depths_then_widths_for_as_long_as_in_the_released_code",
            "test_elastic::test_paths_learn_labels_and_what_the_teacher_says",
        ),
        ("ofa",),
    ),
    Check(
        "Single-Path NAS: gates and gradients of the released superkernel",
        ("test_elastic::test_gates_and_their_gradients_are_those_of_the_released_superkernel",),
        ("single-path",),
    ),
    Check(
        "MixNet-S has 4,134,606 parameters; SCARLET-A and -B their sizes; MixPath adds as its released block does",
        (
            "test_chain_spaces::test_mixnet_s_has_the_released_number_of_parameters",
            "test_kernels_and_skips::test_released_scarlet_networks_have_their_sizes",
            "test_kernels_and_skips::test_kernels_add_up_and_pass_the_batch_norm_of_their_number",
            "test_kernels_and_skips::test_numbers_of_kernels_are_drawn_uniformly_before_the_kernels",
        ),
        ("mixpath",),
    ),
    Check(
        "CARS keeps levels of both rankings; PC-NAS lengthens by mean worth; PreNAS scores by sums of |gradients|",
        (
            "test_revising::test_fronts_of_error_and_of_gain_are_kept_in_turn",
            "test_revising::test_the_large_are_protected_as_in_the_released_code",
            "test_revising::test_a_mutation_draws_every_decision_anew_with_probability_one_half",
            "test_revising::test_beginnings_grow_by_the_mean_worth_of_what_begins_so",
            "test_revising::test_salience_is_the_sum_of_the_paths_own_gradients_and_leaves_weights_alone",
        ),
        ("cars", "pcnas", "prenas"),
    ),
    Check(
        "NSGA-Net: 2^48 networks, the released decoder's rules, counts of the Bayesian network",
        (
            "test_phases::test_the_space_has_the_paper_s_number_of_points",
            "test_phases::test_nodes_without_connections_are_left_out_and_loose_ends_are_tied",
            "test_phases::test_phases_follow_each_other_as_often_as_in_what_is_kept",
        ),
        ("nsga-net",),
    ),
    Check(
        "RENAS: the policy gradient of a mutation, at the parameters that drew it",
        ("test_renas::test_an_update_is_the_policy_gradient_at_the_parameters_that_drew",),
        ("renas",),
    ),
    Check(
        "EfficientNet-B0, -B1, -B2, -B3 and -B7 have their published parameters, to the unit",
        ("test_compound_scaling::test_scaled_networks_have_the_published_sizes",),
    ),
    Check(
        "zero-cost ranks as a belief that counts ever less, and as features",
        (
            "test_zero_cost_prior::test_belief_is_one_minus_the_mean_rank_and_the_middle_for_what_is_unknown",
            "test_zero_cost_prior::test_ranks_count_ever_less",
        ),
        ("zero-cost-prior",),
    ),
    Check(
        "DenseNAS: its program's gradients, chain costs and thirty derived routes; all routes one by one",
        (
            "test_recorded_gradients::test_densenas_moves_the_logits_of_pairs_and_of_ways_on",
            "test_recorded_gradients::test_densenas_estimates_the_cost_of_a_chain",
            "test_recorded_gradients::test_densenas_derives_the_routes_of_its_program",
            "test_routes::test_one_hot_weights_compute_and_cost_what_the_derived_network_does",
            "test_routes::test_the_expected_cost_is_the_mean_over_all_routes_and_operations_and_so_is_its_gradient",
            "test_routes::test_the_likeliest_route_is_that_of_all_routes",
        ),
        ("densenas",),
    ),
    Check(
        "FBNet cools as published and multiplies the loss by a power of the cost",
        ("test_differentiable_robust::test_fbnet_cools_as_published_and_multiplies_the_loss_by_a_power_of_the_cost",),
        ("fbnet",),
    ),
    Check(
        "recurrent cells: published parameters and equations",
        (
            "test_recurrent::test_parameters_are_the_published_integers",
            "test_recurrent::test_a_derived_cell_computes_the_published_equations",
        ),
        ("recurrent", "enas-recurrent"),
    ),
    # Supernets.
    Check(
        "SPOS, FairNAS and ProxylessNAS networks have their published sizes, spaces as many points",
        (
            "test_chain_spaces::test_shuffle_networks_have_the_released_sizes",
            "test_chain_spaces::test_fairnas_networks_have_the_published_sizes",
            "test_chain_spaces::test_published_proxyless_networks_have_their_sizes",
            "test_chain_spaces::test_the_spaces_have_as_many_points_as_published",
            "test_oneshot::test_papers_are_compositions_of_the_published_sizes",
        ),
        ("spos", "fairnas", "proxyless"),
    ),
    Check(
        "strict fairness: equal counts after every update, the sum of the paths' gradients",
        (
            "test_oneshot_samplers::test_strictly_fair_counters_are_equal_after_every_update",
            "test_oneshot_samplers::test_a_strictly_fair_gradient_is_the_sum_of_its_paths_gradients",
        ),
        ("fairnas", "expectation-fair"),
    ),
    Check(
        "uniform and stratified paths, random ones as the control, screening in two rounds",
        (
            "test_oneshot::test_uniform_sampling_draws_every_option_of_every_decision_alike_and_independently",
            "test_oneshot_samplers::test_strata_of_macs_are_drawn_alike_though_paths_of_them_are_not",
            "test_oneshot::test_screening_compares_the_best_screened_again_on_the_whole_split",
        ),
        ("spos", "spos-stratified", "spos-random", "random-sharing"),
    ),
    Check(
        "one-shot: options dropped with the declared rate along its ramp, the best retrained",
        (
            "test_oneshot_samplers::test_all_options_of_a_decision_are_dropped_with_the_declared_rate_whatever_their_number",
            "test_oneshot_samplers::test_the_best_scored_are_retrained_and_the_best_of_those_is_handed_over",
        ),
        ("one-shot",),
    ),
    Check(
        "BigNAS's sandwich and distillation, AttentiveNAS's strata",
        (
            "test_teaching::test_the_sandwich_has_the_largest_and_the_smallest_path_around_random_ones",
            "test_teaching::test_the_largest_learns_the_labels_and_the_others_learn_from_it",
            "test_teaching::test_attentive_paths_are_the_best_or_worst_of_their_stratum",
        ),
        ("bignas", "attentive-nas"),
    ),
    Check(
        "few-shot: copies begin as the supernet and learn from their own paths alone",
        ("test_several_supernets::test_copies_begin_as_the_supernet_and_learn_from_their_own_paths_alone",),
        ("few-shot",),
    ),
    Check(
        "once for all: spaces of published size, shrinking as released, paths that are the networks cut for them",
        (
            "test_elastic::test_the_spaces_have_as_many_points_as_published",
            "test_elastic::test_shrinking_opens_kernels_then_depths_then_widths_for_as_long_as_in_the_released_code",
            "test_elastic::test_a_path_computes_what_the_network_with_the_weights_cut_for_it_computes",
        ),
        ("ofa",),
    ),
    Check(
        "Single-Path NAS: gates and gradients of the released superkernel",
        (
            "test_elastic::test_gates_and_their_gradients_are_those_of_the_released_superkernel",
            "test_elastic::test_a_threshold_above_a_norm_takes_that_part_away",
        ),
        ("single-path",),
    ),
    Check(
        "MixPath: the released supernet and its options, a batch norm for each number of paths",
        (
            "test_kernels_and_skips::test_mixpath_has_the_released_supernet_and_its_options",
            "test_kernels_and_skips::test_kernels_add_up_and_pass_the_batch_norm_of_their_number",
        ),
        ("mixpath",),
    ),
    Check(
        "PreNAS's salience, CARS's two fronts in turn, PCNAS's beginnings by their mean worth",
        (
            "test_revising::test_salience_is_the_sum_of_the_paths_own_gradients_and_leaves_weights_alone",
            "test_revising::test_fronts_of_error_and_of_gain_are_kept_in_turn",
            "test_revising::test_the_large_are_protected_as_in_the_released_code",
            "test_revising::test_a_mutation_draws_every_decision_anew_with_probability_one_half",
            "test_revising::test_beginnings_grow_by_the_mean_worth_of_what_begins_so",
        ),
        ("prenas", "cars", "pcnas"),
    ),
    Check(
        "ENAS: draws weighed above the moving baseline, 250 draws an epoch",
        (
            "test_enas::test_a_draw_is_weighed_by_its_reward_and_entropy_above_the_moving_baseline",
            "test_enas_recurrent::test_the_published_settings_make_250_draws_an_epoch",
        ),
        ("enas", "enas-recurrent"),
    ),
)
