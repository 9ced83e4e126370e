--
-- PostgreSQL database dump
--

\restrict ACbwmLG9TgArkzseHRmowaZeOfLlgQXgSeH9k19fgBl093Sr6wqTpQVddSAD8Gy

-- Dumped from database version 15.18 (Debian 15.18-0+deb12u1)
-- Dumped by pg_dump version 15.18 (Debian 15.18-0+deb12u1)

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
COPY public.keycloak_group (id, name, parent_group, realm_id, type) FROM stdin;
85276ff2-e5cf-40ea-a75d-357fdca0237b	users	 	d6625096-86eb-4012-b60f-e4d10995e51a	0
8692b161-83c5-48ed-a502-023f497e242c	admin	 	d6625096-86eb-4012-b60f-e4d10995e51a	0
d118cf79-27a9-468c-8cd3-b72752f9e80f	developer	 	d6625096-86eb-4012-b60f-e4d10995e51a	0
\.

COPY public.realm (id, access_code_lifespan, user_action_lifespan, access_token_lifespan, account_theme, admin_theme, email_theme, enabled, events_enabled, events_expiration, login_theme, name, not_before, password_policy, registration_allowed, remember_me, reset_password_allowed, social, ssl_required, sso_idle_timeout, sso_max_lifespan, update_profile_on_soc_login, verify_email, master_admin_client, login_lifespan, internationalization_enabled, default_locale, reg_email_as_username, admin_events_enabled, admin_events_details_enabled, edit_username_allowed, otp_policy_counter, otp_policy_window, otp_policy_period, otp_policy_digits, otp_policy_alg, otp_policy_type, browser_flow, registration_flow, direct_grant_flow, reset_credentials_flow, client_auth_flow, offline_session_idle_timeout, revoke_refresh_token, access_token_life_implicit, login_with_email_allowed, duplicate_emails_allowed, docker_auth_flow, refresh_token_max_reuse, allow_user_managed_access, sso_max_lifespan_remember_me, sso_idle_timeout_remember_me, default_role) FROM stdin;
4de3322d-285f-4959-a105-d3667e0e5b36	60	300	60	\N	\N	\N	t	f	0	\N	master	0	\N	f	f	f	f	EXTERNAL	1800	36000	f	f	6543e926-add6-4f38-8d2a-f05086cc6c28	1800	f	\N	f	f	f	f	0	1	30	6	HmacSHA1	totp	b174e841-1760-4226-9d5e-d24868dc00cd	4ecd9a47-715f-4bef-8aec-78ac38586ed8	3b41ec0d-ddb0-4cbd-8def-af05218faf24	4578deb5-b8e6-49b5-b020-fd8e319fe4ce	c9dd94c9-4bd1-4914-adae-65779bc48516	2592000	f	900	t	f	a05187b7-ad66-45bd-8074-976d450c65e5	0	f	0	0	0c9afd26-cfd7-45ae-b6ad-38b0f7dd8b0c
d6625096-86eb-4012-b60f-e4d10995e51a	60	300	300	\N	\N	\N	t	f	0	\N	nebari	0	\N	f	f	f	f	EXTERNAL	1800	36000	f	f	a86ef688-85b5-47a0-9691-607c019a3a03	1800	f	\N	f	f	f	f	0	1	30	6	HmacSHA1	totp	972b13f1-7be3-49b1-aafa-c41d9a2ada6e	1a483be9-8903-4b2e-bb17-0c8fe07d88a6	26dd02bd-9774-47ef-9cac-0d3abd874140	fcb2dab7-143c-4a8d-94e6-97ae7f070fc1	4bde205e-64f2-42f7-b819-1494007e3202	2592000	f	900	t	f	db2173c4-23ac-42c7-8a8b-0d9a21ccee9d	0	f	0	0	5b371724-2291-4654-8b00-d8136b2c4cd4
\.

COPY public.user_entity (id, email, email_constraint, email_verified, enabled, federation_link, first_name, last_name, realm_id, username, created_timestamp, service_account_client_link, not_before) FROM stdin;
b74d08f4-f0ec-426f-841a-88a560e50662	\N	7c3ec0c1-4436-4c08-8c1e-915bdb8f126d	f	t	\N	\N	\N	4de3322d-285f-4959-a105-d3667e0e5b36	root	1796002751194	\N	0
ebbc49c3-1939-4447-adbe-b1bc67fc1d90	ada@example.org	ada@example.org	f	t	\N	\N	\N	d6625096-86eb-4012-b60f-e4d10995e51a	ada	1796002842617	\N	0
20c45911-d4cb-49fa-ad14-c9a417db8537	\N	7a560f6a-a63a-414f-b6f3-e687fa8e71a1	f	t	\N	\N	\N	d6625096-86eb-4012-b60f-e4d10995e51a	grace	1796002846646	\N	0
32a1e6f8-38ba-4e56-9ce0-829897b46c82	\N	782e1de0-54d5-4991-bcc0-4390cca45f20	f	f	\N	\N	\N	d6625096-86eb-4012-b60f-e4d10995e51a	service-x	1796002849118	\N	0
\.

COPY public.user_group_membership (group_id, user_id, membership_type) FROM stdin;
8692b161-83c5-48ed-a502-023f497e242c	ebbc49c3-1939-4447-adbe-b1bc67fc1d90	UNMANAGED
85276ff2-e5cf-40ea-a75d-357fdca0237b	ebbc49c3-1939-4447-adbe-b1bc67fc1d90	UNMANAGED
85276ff2-e5cf-40ea-a75d-357fdca0237b	20c45911-d4cb-49fa-ad14-c9a417db8537	UNMANAGED
\.

COPY public.user_required_action (user_id, required_action) FROM stdin;
\.

-- PostgreSQL database dump complete
--

\unrestrict ACbwmLG9TgArkzseHRmowaZeOfLlgQXgSeH9k19fgBl093Sr6wqTpQVddSAD8Gy

